/* Running programs (the system's C compiler) and the scratch folders that they work in. */
#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void exec_child(const char *const *argv, int cpu_limit_s, int output) {
    struct rlimit cpu = {(rlim_t)cpu_limit_s, (rlim_t)cpu_limit_s};
    int nothing = open("/dev/null", O_RDONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CPU, &cpu);
    dup2(nothing, 0);
    dup2(output, 1);
    dup2(output, 2);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

ts_status tuner_process_run(const char *const *argv, int cpu_limit_s, ts_buf *output, int *code,
                            ts_err *err) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return ts_fail(err, TS_STATUS_IO, "pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) exec_child(argv, cpu_limit_s, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return ts_fail(err, TS_STATUS_IO, "fork for %s: %s", argv[0], strerror(errno));
    }
    char chunk[4096];
    ssize_t got;
    while ((got = read(ends[0], chunk, sizeof chunk)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0) ts_buf_append(output, chunk, (size_t)got);
    close(ends[0]);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (*code == 127)
        return ts_fail(err, TS_STATUS_IO, "cannot run %s; install it or put it in PATH", argv[0]);
    return TS_STATUS_OK;
}

ts_status tuner_scratch_make(char path[256], ts_err *err) {
    const char *base = getenv("TMPDIR");
    if (!base || !*base || strlen(base) > 180) base = "/tmp";
    snprintf(path, 256, "%s/tunesmith-XXXXXX", base);
    if (!mkdtemp(path))
        return ts_fail(err, TS_STATUS_IO, "cannot make a scratch folder in %s: %s", base,
                       strerror(errno));
    return TS_STATUS_OK;
}

void tuner_scratch_remove(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));)
        unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
    rmdir(path);
}
