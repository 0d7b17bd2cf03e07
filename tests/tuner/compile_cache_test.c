/* The cache of compiled kernels: what comes out is what went in, or nothing. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tuner/compile_cache.h"
#include "tuner/process.h"

static const char key_a[] = "aa00000000000000000000000000000000000000000000000000000000000001";
static const char key_b[] = "ab00000000000000000000000000000000000000000000000000000000000002";
static char scratch[256], folder[300];
static tuner_compile_cache cache;

static int open_cache(void **state) {
    (void)state;
    if (tuner_scratch_make(scratch, NULL) != TS_STATUS_OK) return 1;
    snprintf(folder, sizeof folder, "%s/deep/cache", scratch);
    setenv("TUNESMITH_CACHE", folder, 1);
    tuner_compile_cache_open(&cache);
    return cache.folder[0] ? 0 : 1;
}

static int remove_cache(void **state) {
    (void)state;
    tuner_scratch_remove(scratch);
    return 0;
}

static bool has(const char *key, const char *text) {
    ts_buf got = {0};
    bool found = tuner_compile_cache_get(&cache, key, &got);
    bool same = found && got.bytes == strlen(text) && memcmp(got.data, text, got.bytes) == 0;
    assert_int_equal(found, same);
    ts_buf_free(&got);
    return same;
}

static void path_of(const char *key, char path[512]) {
    snprintf(path, 512, "%s/%.2s/%s", folder, key, key + 2);
}

static void what_was_put_is_found(void **state) {
    (void)state;
    assert_false(has(key_a, "one"));
    tuner_compile_cache_put(&cache, key_a, "one", 3);
    tuner_compile_cache_put(&cache, key_b, "", 0);
    assert_true(has(key_a, "one"));
    assert_true(has(key_b, ""));
    tuner_compile_cache_put(&cache, key_a, "other", 5);
    assert_true(has(key_a, "other"));
}

static void a_damaged_entry_is_none(void **state) {
    (void)state;
    char path[512];
    path_of(key_a, path);
    for (int damage = 0; damage < 3; damage++) {
        tuner_compile_cache_put(&cache, key_a, "content", 7);
        assert_true(has(key_a, "content"));
        if (damage == 2)
            assert_int_equal(truncate(path, 20), 0);
        else {
            int file = open(path, O_RDWR);
            char byte = 0;
            off_t at = damage ? 66 : 5; /* in the content, in the hash */
            assert_int_equal(pread(file, &byte, 1, at), 1);
            byte ^= 1;
            assert_int_equal(pwrite(file, &byte, 1, at), 1);
            close(file);
        }
        assert_false(has(key_a, "content"));
    }
}

static void a_folder_that_others_may_write_is_not_used(void **state) {
    (void)state;
    tuner_compile_cache other;
    assert_int_equal(chmod(folder, 0777), 0);
    tuner_compile_cache_open(&other);
    assert_string_equal(other.folder, "");
    assert_int_equal(chmod(folder, 0700), 0);
    setenv("TUNESMITH_CACHE", "", 1);
    tuner_compile_cache_open(&other);
    assert_string_equal(other.folder, "");
    tuner_compile_cache_put(&other, key_a, "x", 1); /* no cache, no effect */
    setenv("TUNESMITH_CACHE", folder, 1);
}

static void the_longest_unused_go_first(void **state) {
    (void)state;
    char path[512];
    struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    tuner_compile_cache_put(&cache, key_a, "old", 3);
    tuner_compile_cache_put(&cache, key_b, "new", 3);
    path_of(key_a, path);
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    tuner_compile_cache_prune(&cache, 1 << 20);
    assert_int_equal(access(path, F_OK), 0);
    tuner_compile_cache_prune(&cache, 100);
    assert_false(has(key_a, "old"));
    assert_true(has(key_b, "new"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found),
        cmocka_unit_test(a_damaged_entry_is_none),
        cmocka_unit_test(a_folder_that_others_may_write_is_not_used),
        cmocka_unit_test(the_longest_unused_go_first),
    };
    return cmocka_run_group_tests(tests, open_cache, remove_cache);
}
