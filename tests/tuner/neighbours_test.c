/* neighbours.c against a management library of our own, found under the real one's soname. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tuner/neighbours.h"

static const char source[] =
    "unsigned fake_mig, fake_processes; int fake_open;\n"
    "int nvmlInit_v2(void) { fake_open++; return 0; }\n"
    "int nvmlShutdown(void) { fake_open--; return 0; }\n"
    "int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **d) { *d = 0; return id[0] == '0'; }\n"
    "int nvmlDeviceGetMigMode(void *d, unsigned *now, unsigned *pending) {"
    " *now = *pending = fake_mig; return d != 0; }\n"
    "int nvmlDeviceGetComputeRunningProcesses_v3(void *d, unsigned *count, void *list) {"
    " *count = fake_processes; return d != 0 || !list; }\n";

static unsigned *mig, *processes;
static int *open_count;

static int load_fake(void **state) {
    (void)state;
    char folder[] = "/tmp/tunesmith-nvml-XXXXXX", command[256], path[64], library[64];
    if (!mkdtemp(folder)) return 1;
    snprintf(path, sizeof path, "%s/nvml.c", folder);
    snprintf(library, sizeof library, "%s/libnvidia-ml.so.1", folder);
    FILE *file = fopen(path, "w");
    if (!file || fputs(source, file) < 0 || fclose(file) != 0) return 1;
    snprintf(command, sizeof command, "cc -shared -fPIC -Wl,-soname,libnvidia-ml.so.1 %s -o %s",
             path, library);
    void *handle = system(command) == 0 ? dlopen(library, RTLD_NOW | RTLD_GLOBAL) : NULL;
    unlink(path);
    unlink(library);
    rmdir(folder);
    if (!handle) return 1;
    mig = dlsym(handle, "fake_mig");
    processes = dlsym(handle, "fake_processes");
    open_count = dlsym(handle, "fake_open");
    return !mig || !processes || !open_count;
}

static const char *notice(const char *bus_id, unsigned with_mig, unsigned with_processes) {
    static char text[200];
    *mig = with_mig;
    *processes = with_processes;
    strcpy(text, "untouched");
    tuner_neighbours(bus_id, text, sizeof text);
    assert_int_equal(*open_count, 0);
    return text;
}

static void says_who_disturbs(void **state) {
    (void)state;
    assert_string_equal(notice("", 1, 9), "");     /* the CPU */
    assert_string_equal(notice("3b", 0, 0), "");   /* a container that hides processes */
    assert_string_equal(notice("3b", 0, 1), "");   /* ourselves */
    assert_string_equal(notice("0000", 0, 5), ""); /* a card that the library does not know */
    assert_non_null(strstr(notice("3b", 0, 2), "1 other process is on this card"));
    assert_non_null(strstr(notice("3b", 0, 4), "3 other processes are on this card"));
    assert_non_null(strstr(notice("3b", 1, 1), "split by MIG"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_who_disturbs)};
    return cmocka_run_group_tests(tests, load_fake, NULL);
}
