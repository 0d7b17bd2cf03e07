/* db/base.h: errors, buffer, arena, hash against known BLAKE2b answers, file reads and atomic writes. */
#include "sample.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "db/base.h"

static void errors_are_cut_and_returned(void **state) {
    (void)state;
    ts_err err = {0};
    char long_text[4000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_int_equal(ts_fail(&err, TS_STATUS_IO, "%d %s", 7, long_text), TS_STATUS_IO);
    assert_int_equal(err.status, TS_STATUS_IO);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_memory_equal(err.message, "7 xxx", 5);
    assert_int_equal(ts_fail(NULL, TS_STATUS_CORRUPT, "ignored"), TS_STATUS_CORRUPT);
}

static void every_status_has_a_text(void **state) {
    (void)state;
    assert_string_equal(ts_status_text(TS_STATUS_OK), "ok");
    assert_string_equal(ts_status_text(TS_STATUS_CANCELLED), "cancelled");
    assert_string_equal(ts_status_text((ts_status)999), "unknown status");
    assert_string_equal(ts_status_text((ts_status)-1), "unknown status");
}

static void buffer_grows_and_stays_terminated(void **state) {
    (void)state;
    ts_buf buf = {0};
    ts_buf_append(&buf, NULL, 0);
    assert_string_equal(buf.data, "");
    for (int i = 0; i < 1000; i++) {
        ts_buf_printf(&buf, "%03d", i);
        assert_int_equal(buf.bytes, 3 * (i + 1));
        assert_int_equal(buf.data[buf.bytes], '\0');
        assert_true(buf.bytes < buf.capacity);
    }
    assert_memory_equal(buf.data + 2997, "999", 4);
    ts_buf_append(&buf, "a\0b", 3);
    assert_int_equal(buf.bytes, 3003);
    size_t capacity = buf.capacity;
    ts_buf_clear(&buf);
    assert_string_equal(buf.data, "");
    assert_int_equal(buf.bytes, 0);
    assert_int_equal(buf.capacity, capacity);
    ts_buf_free(&buf);
    assert_null(buf.data);
    ts_buf_free(NULL);
}

static void buffer_remembers_a_failed_allocation(void **state) {
    (void)state;
    ts_buf buf = {0};
    ts_buf_printf(&buf, "kept");
    ts_buf_append(&buf, "x", SIZE_MAX - 2); /* refused before a byte is read */
    assert_true(buf.failed);
    ts_buf_printf(&buf, "dropped");
    assert_string_equal(buf.data, "kept");
    ts_buf_free(&buf);
    assert_false(buf.failed);
}

static void arena_is_aligned_zeroed_and_disjoint(void **state) {
    (void)state;
    ts_arena arena = {0};
    unsigned char *parts[300];
    size_t sizes[300];
    for (size_t i = 0; i < 300; i++) {
        sizes[i] = i % 50 == 0 ? 40000 + i : i; /* some larger than a block */
        parts[i] = ts_arena_alloc(&arena, sizes[i]);
        assert_non_null(parts[i]);
        assert_int_equal((uintptr_t)parts[i] % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(parts[i][k], 0);
        memset(parts[i], (int)(i % 255) + 1, sizes[i]);
    }
    for (size_t i = 0; i < 300; i++) {
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(parts[i][k], i % 255 + 1);
    }
    assert_string_equal(ts_arena_strdup(&arena, "text"), "text");
    assert_string_equal(ts_arena_printf(&arena, "%s=%d", "n", 16), "n=16");
    assert_null(ts_arena_alloc(&arena, SIZE_MAX - 4));
    ts_arena_free(&arena);
    assert_null(arena.head);
    ts_arena_free(NULL);
}

/* BLAKE2b-256 with no key. Each part is its length as 8 little-endian bytes, then its bytes; the expected
 * values come from `b2sum -l 256` over those bytes. */
static void hash_known_answers(void **state) {
    (void)state;
    char hex[TS_HASH_HEX];
    ts_hash hash;
    ts_hash_init(&hash);
    ts_hash_final(&hash, hex);
    assert_string_equal(hex, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    ts_hash_init(&hash);
    ts_hash_part(&hash, "abc", 3);
    ts_hash_final(&hash, hex);
    assert_string_equal(hex, "3bdc62cfd65e3b78e3d90e32e0a91ebfbc229c30abe54e6abd16c5d4def0db7b");
}

static void hash_two(const char *a, const char *b, char hex[TS_HASH_HEX]) {
    ts_hash hash;
    ts_hash_init(&hash);
    ts_hash_text(&hash, a);
    ts_hash_text(&hash, b);
    ts_hash_final(&hash, hex);
}

static void hash_keeps_parts_apart(void **state) {
    (void)state;
    char one[TS_HASH_HEX], two[TS_HASH_HEX];
    hash_two("ab", "c", one);
    hash_two("a", "bc", two);
    assert_string_not_equal(one, two);
    hash_two(NULL, "x", one);
    hash_two("", "x", two);
    assert_string_equal(one, two);
}

static size_t entries_in(const char *folder) {
    size_t count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void file_round_trip(void **state) {
    (void)state;
    const char *path = in_scratch("file");
    ts_buf big = {0}, back = {0};
    for (int i = 0; i < 50000; i++) ts_buf_printf(&big, "%d\n", i); /* several read chunks */
    CHECK_OK(ts_file_write(path, big.data, big.bytes, &err));
    ts_buf_printf(&back, ">");
    CHECK_OK(ts_file_read(path, &back, &err));
    assert_int_equal(back.bytes, big.bytes + 1); /* appended */
    assert_memory_equal(back.data + 1, big.data, big.bytes);
    CHECK_OK(ts_file_write(path, NULL, 0, &err));
    ts_buf_free(&back);
    CHECK_OK(ts_file_read(path, &back, &err));
    assert_string_equal(back.data, "");
    assert_int_equal(entries_in(scratch), 1);
    ts_buf_free(&back);
    ts_buf_free(&big);
}

static void file_errors_name_the_path(void **state) {
    (void)state;
    ts_buf out = {0};
    ts_buf_printf(&out, "kept");
    CHECK_FAILS(ts_file_read(in_scratch("none"), &out, &err), TS_STATUS_NOT_FOUND, "none");
    CHECK_FAILS(ts_file_read(scratch, &out, &err), TS_STATUS_IO, scratch);
    assert_string_equal(out.data, "kept");
    CHECK_FAILS(ts_file_write(in_scratch("no/folder"), "x", 1, &err), TS_STATUS_IO, "no/folder");
    ts_buf_free(&out);
}

static void file_keeps_its_mode(void **state) {
    (void)state;
    const char *path = in_scratch("file");
    struct stat info;
    CHECK_OK(ts_file_write(path, "a", 1, &err));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0644);
    assert_int_equal(chmod(path, 0600), 0);
    CHECK_OK(ts_file_write(path, "b", 1, &err));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

/* A write that fails half way (here at a file size limit) leaves the old content and no temporary file. */
static void failed_write_leaves_the_old_file(void **state) {
    (void)state;
    const char *path = in_scratch("file");
    CHECK_OK(ts_file_write(path, "old", 3, &err));
    static char big[100000];
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    ts_err failure = {0};
    ts_status status = ts_file_write(path, big, sizeof big, &failure);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, TS_STATUS_IO);
    assert_non_null(strstr(failure.message, path));
    ts_buf back = {0};
    CHECK_OK(ts_file_read(path, &back, &err));
    assert_string_equal(back.data, "old");
    ts_buf_free(&back);
    assert_int_equal(entries_in(scratch), 1);
}

/* A reader that looks all the time sees one whole version or the other. */
static void replacing_is_atomic(void **state) {
    (void)state;
    const char *path = in_scratch("file");
    enum { BYTES = 30000, ROUNDS = 60 };
    static char text[BYTES];
    memset(text, 'a', sizeof text);
    CHECK_OK(ts_file_write(path, text, sizeof text, &err));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int i = 0; i < ROUNDS; i++) {
            memset(text, 'a' + i % 26, sizeof text);
            if (ts_file_write(path, text, sizeof text, NULL) != TS_STATUS_OK) _exit(1);
        }
        _exit(0);
    }
    int exit_status = 0, reads = 0;
    while (waitpid(child, &exit_status, WNOHANG) == 0) {
        ts_buf seen = {0};
        CHECK_OK(ts_file_read(path, &seen, &err));
        assert_int_equal(seen.bytes, BYTES);
        assert_memory_equal(seen.data, seen.data + 1, BYTES - 1); /* one letter throughout */
        ts_buf_free(&seen);
        reads++;
    }
    assert_int_equal(exit_status, 0);
    assert_true(reads > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_cut_and_returned),
        cmocka_unit_test(every_status_has_a_text),
        cmocka_unit_test(buffer_grows_and_stays_terminated),
        cmocka_unit_test(buffer_remembers_a_failed_allocation),
        cmocka_unit_test(arena_is_aligned_zeroed_and_disjoint),
        cmocka_unit_test(hash_known_answers),
        cmocka_unit_test(hash_keeps_parts_apart),
        cmocka_unit_test_setup_teardown(file_round_trip, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(file_errors_name_the_path, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(file_keeps_its_mode, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(failed_write_leaves_the_old_file, make_scratch,
                                        remove_scratch),
        cmocka_unit_test_setup_teardown(replacing_is_atomic, make_scratch, remove_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
