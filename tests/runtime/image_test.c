/* The loader of CPU kernels: real compiler output runs; hostile bytes are refused without a crash.
 */
#include "compile.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>

#include <cmocka.h>

/* Constant tables, float constants, a switch, and library calls that the compiler makes up. */
static const char kernel_text[] =
    "static const float table[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };\n"
    "static const char *word(int i) { return i ? \"one\" : \"zero\"; }\n"
    "__attribute__((noinline)) static int pick(int i) {\n"
    "    switch (i) { case 0: return 17; case 1: return 3; case 2: return 99; case 3: return -4;\n"
    "                 case 4: return 1000; case 5: return 12; case 6: return 55; default: return 0; }\n"
    "}\n"
    "struct big { float v[64]; };\n"
    "KERNEL void all(const float *in, void *scratch, uint32_t bx, uint32_t by, uint32_t bz) {\n"
    "    struct big *big = scratch, copy;\n"
    "    for (int i = 0; i < 64; i++) big->v[i] = 0;\n"
    "    for (int i = 0; i < 8; i++) big->v[i] = in[i] * table[i] + 0.25f + (float)pick(i);\n"
    "    copy = *big;\n"
    "    copy.v[8] = (float)word((int)bx)[0] + silu_f32(in[0]) + (float)(by + bz);\n"
    "    *big = copy;\n"
    "}\n"
    "KERNEL void other(const float *in, void *scratch, uint32_t bx, uint32_t by, uint32_t bz) {\n"
    "    ((float *)scratch)[0] = in[0] + (float)(bx + by + bz);\n"
    "}\n";

typedef void block_function(const void *args, void *scratch, uint32_t bx, uint32_t by, uint32_t bz);

static ts_buf object;

static int setup(void **state) {
    (void)state;
    return !compile_with_prelude(kernel_text, &object);
}

static int teardown(void **state) {
    (void)state;
    ts_buf_free(&object);
    return 0;
}

static block_function *function_of(const rt_image *image, const char *name) {
    void *address = rt_image_function(image, name);
    block_function *function;
    assert_non_null(address);
    memcpy(&function, &address, sizeof function);
    return function;
}

static void runs_compiler_output(void **state) {
    (void)state;
    rt_image *image = NULL;
    ts_err err;
    if (rt_image_load(object.data, object.bytes, &image, &err) != TS_STATUS_OK)
        fail_msg("%s", err.message);
    _Alignas(64) float out[64];
    const float in[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    static const float picked[8] = {17, 3, 99, -4, 1000, 12, 55, 0};
    function_of(image, "all")(in, out, 1, 2, 3);
    for (int i = 0; i < 8; i++) assert_true(out[i] == (float)(i * (i + 1)) + 0.25f + picked[i]);
    assert_true(out[8] == (float)'o' + 5);
    assert_true(out[9] == 0);
    function_of(image, "other")(in, out, 4, 5, 6);
    assert_true(out[0] == 15);
    assert_null(rt_image_function(image, "absent"));
    assert_null(rt_image_function(image, ""));
    rt_image_unload(image);
}

/* The text of /proc/self/maps never shows memory both writable and executable after a load. */
static void never_writable_and_executable(void **state) {
    (void)state;
    rt_image *image = NULL;
    assert_int_equal(rt_image_load(object.data, object.bytes, &image, NULL), TS_STATUS_OK);
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    char line[512], *address = rt_image_function(image, "all");
    bool seen = false;
    while (fgets(line, sizeof line, maps)) {
        unsigned long begin, end;
        char rights[8];
        assert_int_equal(sscanf(line, "%lx-%lx %7s", &begin, &end, rights), 3);
        if ((unsigned long)address < begin || (unsigned long)address >= end) continue;
        seen = true;
        assert_string_equal(rights, "r-xp");
    }
    fclose(maps);
    assert_true(seen);
    rt_image_unload(image);
}

/* Loads bytes that end at an unreadable page, so that a read past the end is a crash and not luck.
 */
static ts_status load_guarded(const void *bytes, size_t count, ts_err *err) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (count + page - 1) / page * page;
    unsigned char *memory = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(mprotect(memory + room, page, PROT_NONE), 0);
    if (count) memcpy(memory + room - count, bytes, count);
    rt_image *image = NULL;
    ts_status status = rt_image_load(memory + room - count, count, &image, err);
    if (status == TS_STATUS_OK) {
        rt_image_function(image, "all"); /* the lookup must hold too */
        rt_image_function(image, "absent");
    }
    rt_image_unload(image);
    munmap(memory, room + page);
    return status;
}

/* Section headers end the file and are not read, so what must fail is everything before them. */
static void refuses_truncations(void **state) {
    (void)state;
    Elf64_Ehdr header;
    memcpy(&header, object.data, sizeof header);
    size_t loaded = 0;
    for (size_t i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr ph;
        memcpy(&ph, object.data + header.e_phoff + i * sizeof ph, sizeof ph);
        if (ph.p_type == PT_LOAD) loaded = ph.p_offset + ph.p_filesz;
    }
    assert_true(loaded > 1000 && loaded <= object.bytes);
    for (size_t bytes = 0; bytes < loaded; bytes += 7) {
        ts_err err;
        assert_int_equal(load_guarded(object.data, bytes, &err), TS_STATUS_CORRUPT);
        assert_non_null(strstr(err.message, "CPU kernel object"));
    }
}

/* Every byte of the headers, the hash, the symbols and the dynamic section takes several wrong
 * values. The result may be a harmless change; it may not be a crash. */
static void survives_flipped_bytes(void **state) {
    (void)state;
    static const unsigned char masks[] = {0x01, 0x80, 0x7f, 0xff};
    unsigned char *copy = malloc(object.bytes);
    assert_non_null(copy);
    size_t refused = 0;
    for (size_t at = 0; at < object.bytes; at++) {
        if (at > 1024 && at + 512 < object.bytes && at % 16) continue; /* code: a sample */
        for (size_t m = 0; m < sizeof masks; m++) {
            memcpy(copy, object.data, object.bytes);
            copy[at] ^= masks[m];
            ts_status status = load_guarded(copy, object.bytes, NULL);
            assert_true(status == TS_STATUS_OK || status == TS_STATUS_CORRUPT ||
                        status == TS_STATUS_OUT_OF_MEMORY);
            refused += status != TS_STATUS_OK;
        }
    }
    assert_true(refused > 200);
    free(copy);
}

static void set_header(unsigned char *copy, size_t offset, uint64_t value, size_t bytes) {
    memcpy(copy + offset, &value, bytes);
}

static void refuses_other_machines(void **state) {
    (void)state;
    static const struct {
        size_t offset, bytes;
        uint64_t value;
        const char *part;
    } changes[] = {
        {EI_CLASS, 1, ELFCLASS32, "64-bit"},
        {EI_DATA, 1, ELFDATA2MSB, "64-bit"},
        {0, 1, 0, "not an ELF"},
        {offsetof(Elf64_Ehdr, e_machine), 2, EM_S390, "machine"},
        {offsetof(Elf64_Ehdr, e_type), 2, ET_EXEC, "shared object"},
        {offsetof(Elf64_Ehdr, e_phoff), 8, UINT64_MAX - 8, "outside"},
        {offsetof(Elf64_Ehdr, e_phnum), 2, 0, "nothing to load"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        unsigned char *copy = malloc(object.bytes);
        assert_non_null(copy);
        memcpy(copy, object.data, object.bytes);
        set_header(copy, changes[i].offset, changes[i].value, changes[i].bytes);
        ts_err err;
        assert_int_equal(load_guarded(copy, object.bytes, &err), TS_STATUS_CORRUPT);
        assert_non_null(strstr(err.message, changes[i].part));
        free(copy);
    }
}

/* Well-formed objects that a real dynamic linker would accept. */
static void refuses_what_needs_linking(void **state) {
    (void)state;
    static const char *const loose[] = {"-fPIC", "-shared", "-nostdlib", "-Wl,--hash-style=sysv",
                                        NULL};
    static const char *const gnu_hash[] = {"-fPIC", "-shared", "-nostdlib", "-Wl,--hash-style=gnu",
                                           NULL};
    static const char *const writable[] = {
        "-fPIC", "-shared", "-nostdlib", "-Wl,--hash-style=sysv", "-Wl,--omagic", NULL};
    static const struct {
        const char *source, *part;
        const char *const *flags;
    } cases[] = {
        {"extern int f(int); int k(void) { return f(1); }", "relocations for calls", loose},
        {"extern int v; int k(void) { return v; }", "relocations", loose},
        {"static int a, b; int *const table[2] = { &a, &b };", "relocations", loose},
        {"__thread int t; int *k(void) { return &t; }", "thread-local", loose},
        {"static int v; __attribute__((constructor)) static void f(void) { v = 1; } int k(void) { return v; }",
         "initialisers", loose},
        {"int k(void) { return 1; }", "sysv hash", gnu_hash},
        {"int k(void) { return 1; }", "writable and executable", writable},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ts_buf blob = {0};
        ts_err err = {.message = ""};
        assert_true(compile_kernel(cases[i].source, cases[i].flags, &blob));
        assert_int_equal(load_guarded(blob.data, blob.bytes, &err), TS_STATUS_CORRUPT);
        if (!strstr(err.message, cases[i].part)) fail_msg("case %zu says: %s", i, err.message);
        ts_buf_free(&blob);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_compiler_output),   cmocka_unit_test(never_writable_and_executable),
        cmocka_unit_test(refuses_truncations),    cmocka_unit_test(survives_flipped_bytes),
        cmocka_unit_test(refuses_other_machines), cmocka_unit_test(refuses_what_needs_linking),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
