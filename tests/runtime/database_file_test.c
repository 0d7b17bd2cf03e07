/* Database files: where they are searched, how the user's lies over the system's, and which of them
 * are trusted.
 */
#include "numbered_kernels.h"

#include <sodium.h>

/* ---- one file ---- */

static void refuses_files_that_others_can_write(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1)});
    ts_kernels_close(kernels);
    static const mode_t refused[] = {0664, 0646, 0666, 0620};
    ts_err err;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(chmod(path, refused[i]), 0);
        assert_int_equal(ts_kernels_open(device, path, &kernels, &err), TS_STATUS_UNSUPPORTED);
        assert_non_null(strstr(err.message, "chmod go-w"));
    }
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(ts_kernels_open(device, path, &kernels, &err), TS_STATUS_OK);
    ts_kernels_close(kernels);

    char log[80]; /* a write-ahead log is read with the file */
    snprintf(log, sizeof log, "%s-wal", path);
    assert_int_equal(ts_file_write(log, "x", 1, NULL), TS_STATUS_OK);
    assert_int_equal(chmod(log, 0666), 0);
    assert_int_equal(ts_kernels_open(device, path, &kernels, &err), TS_STATUS_UNSUPPORTED);
    assert_non_null(strstr(err.message, "-wal"));
    unlink(log);

    if (geteuid() == 0) { /* only root can give a file away */
        assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
        assert_int_equal(ts_kernels_open(device, path, &kernels, &err), TS_STATUS_UNSUPPORTED);
        assert_non_null(strstr(err.message, "user 12345"));
    }
}

static void searches_in_order(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1)});
    ts_kernels_close(kernels);
    ts_err err;
    char home_file[128], home_folder[96];
    assert_int_equal(setenv("HOME", folder, 1), 0);
    assert_int_equal(setenv("XDG_DATA_HOME", "relative", 1), 0); /* counts as not set */
    assert_int_equal(unsetenv("TUNESMITH_DB"), 0);

    snprintf(home_folder, sizeof home_folder, "mkdir -p %s/.local/share/tunesmith", folder);
    snprintf(home_file, sizeof home_file, "%s/.local/share/tunesmith/tunesmith.db", folder);
    if (access("/usr/share/tunesmith/tunesmith.db", F_OK) &&
        access("/usr/local/share/tunesmith/tunesmith.db", F_OK)) {
        assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_NOT_FOUND);
        assert_non_null(strstr(err.message, home_file));
        assert_non_null(strstr(err.message, "/usr/share/tunesmith"));
    }
    assert_int_equal(system(home_folder), 0);
    assert_int_equal(rename(path, home_file), 0);
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_OK);
    ts_kernels_close(kernels);

    assert_int_equal(setenv("TUNESMITH_DB", path, 1), 0); /* named but gone: no silent fall-back */
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_NOT_FOUND);
    assert_non_null(strstr(err.message, "TUNESMITH_DB"));
    assert_int_equal(setenv("TUNESMITH_DB", home_file, 1), 0);
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_OK);
    ts_kernels_close(kernels);
    assert_int_equal(ts_kernels_open(device, path, &kernels, &err),
                     TS_STATUS_NOT_FOUND); /* explicit comes first */
    assert_non_null(strstr(err.message, path));
    ts_kernels_close(NULL);

    assert_int_equal(ts_kernels_open(device, folder, &kernels, &err), TS_STATUS_CORRUPT);
    unlink(home_file);
    snprintf(home_folder, sizeof home_folder, "rm -r %s/.local", folder);
    assert_int_equal(system(home_folder), 0);
}

/* ---- layers and signatures ---- */

static const char *below(const char *name) {
    static char names[4][160];
    static int next = 0;
    char *out = names[next++ % 4];
    snprintf(out, sizeof names[0], "%s/%s", folder, name);
    return out;
}

static void move_to(const char *place) {
    ts_buf command = {0};
    const char *target = below(place);
    ts_buf_printf(&command, "mkdir -p $(dirname %s) && mv -f %s %s", target, path, target);
    assert_int_equal(system(command.data), 0);
    ts_buf_free(&command);
}

/* Signs a file with a new pair and puts the public key where `key_file` says. */
static void sign_file(const char *file, const char *key_file) {
    db_public_key key;
    unsigned char secret[DB_SECRET_BYTES], trailer[DB_SIGNATURE_BYTES];
    ts_buf bytes = {0}, text = {0};
    crypto_sign_keypair(key.bytes, secret);
    db_public_key_text(&key, &text);
    assert_int_equal(ts_file_write(key_file, text.data, text.bytes, NULL), TS_STATUS_OK);
    assert_int_equal(chmod(key_file, 0644), 0);
    assert_int_equal(ts_file_read(file, &bytes, NULL), TS_STATUS_OK);
    assert_int_equal(db_signature_make(bytes.data, bytes.bytes, secret, trailer, NULL),
                     TS_STATUS_OK);
    ts_buf_append(&bytes, trailer, sizeof trailer);
    assert_int_equal(ts_file_write(file, bytes.data, bytes.bytes, NULL), TS_STATUS_OK);
    assert_int_equal(chmod(file, 0644), 0);
    ts_buf_free(&bytes);
    ts_buf_free(&text);
}

static void use_folders(void) {
    ts_buf command = {0};
    ts_buf_printf(&command, "mkdir -p %s/config/tunesmith/keys", folder);
    assert_int_equal(system(command.data), 0);
    ts_buf_free(&command);
    setenv("XDG_DATA_HOME", below("user"), 1);
    setenv("XDG_DATA_DIRS", below("system"), 1);
    setenv("XDG_CONFIG_HOME", below("config"), 1);
    unsetenv("TUNESMITH_DB");
    unsetenv("TUNESMITH_KEYS");
}

static void drop_folders(void) {
    ts_buf command = {0};
    ts_buf_printf(&command, "rm -rf %s/user %s/system %s/config %s/keys", folder, folder, folder,
                  folder);
    assert_int_equal(system(command.data), 0);
    ts_buf_free(&command);
    unsetenv("XDG_DATA_DIRS");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("TUNESMITH_KEYS");
}

#define SYSTEM_FILE "system/tunesmith/tunesmith.db"
#define USER_FILE "user/tunesmith/tunesmith.db"

static void users_layer_over_the_systems(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS(
        {.number = 1, .problem = P(1, 1)}, {.number = 2, .problem = P(1000, 1000)},
        {.number = 3, .problem = P(64, 64), .spec = "dtype=bf16 act=none"});
    ts_kernels_close(kernels);
    use_folders();
    move_to(SYSTEM_FILE);
    sign_file(below(SYSTEM_FILE), below("config/tunesmith/keys/packager.pub"));
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, NULL), TS_STATUS_OK);
    assert_int_equal(found(kernels, P(1, 1)), 1);
    ts_kernels_close(kernels);

    kernels = OPEN_ROWS({.number = 4, .problem = P(1, 1)});
    ts_kernels_close(kernels);
    move_to(USER_FILE);
    ts_err err;
    if (ts_kernels_open(device, NULL, &kernels, &err) != TS_STATUS_OK) fail_msg("%s", err.message);
    assert_int_equal(found(kernels, P(1, 1)), 4);       /* both know it: the user's */
    assert_int_equal(found(kernels, P(1000, 1000)), 2); /* nearer in the system's */
    assert_warnings(kernels, 0, "");
    ts_kernels_close(kernels);

    /* A measured winner of the system's before a default of the user's. */
    kernels = OPEN_ROWS({.number = 5, .is_default = true});
    ts_kernels_close(kernels);
    move_to(USER_FILE);
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, NULL), TS_STATUS_OK);
    assert_int_equal(found(kernels, P(1, 1)), 1);
    ts_kernels_close(kernels);
    drop_folders();
}

static void systems_folder_needs_a_trusted_signature(void **state) {
    (void)state;
    ts_err err;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1)});
    ts_kernels_close(kernels);
    use_folders();
    move_to(SYSTEM_FILE);
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_UNSUPPORTED);
    assert_non_null(strstr(err.message, "not signed by a trusted key"));
    sign_file(below(SYSTEM_FILE), below("key.pub")); /* nobody pinned it */
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_UNSUPPORTED);
    assert_non_null(strstr(err.message, "not signed by a trusted key"));
    assert_int_equal(mkdir(below("keys"), 0755), 0);
    assert_int_equal(rename(below("key.pub"), below("keys/key.pub")), 0);
    setenv("TUNESMITH_KEYS", below("keys"), 1);
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_OK);
    ts_kernels_close(kernels);
    assert_int_equal(chmod(below("keys/key.pub"), 0666), 0); /* anybody could have put it there */
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_UNSUPPORTED);

    /* It does not take the user's own file down. */
    kernels = OPEN_ROWS({.number = 2, .problem = P(1, 1)});
    ts_kernels_close(kernels);
    move_to(USER_FILE);
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_OK);
    assert_int_equal(found(kernels, P(1, 1)), 2);
    assert_warnings(kernels, 1, "left out");
    ts_kernels_close(kernels);
    drop_folders();
}

static void signed_file_of_others_loads(void **state) {
    (void)state;
    ts_err err;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1)});
    ts_kernels_close(kernels);
    use_folders();
    sign_file(path, below("config/tunesmith/keys/other.pub"));
    assert_int_equal(chmod(path, 0666), 0);
    if (geteuid() == 0) assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
    assert_int_equal(ts_kernels_open(device, path, &kernels, &err), TS_STATUS_OK);
    assert_int_equal(found(kernels, P(1, 1)), 1);
    ts_kernels_close(kernels);

    ts_buf bytes = {0}; /* and a changed one does not, whoever owns it */
    assert_int_equal(ts_file_read(path, &bytes, NULL), TS_STATUS_OK);
    bytes.data[bytes.bytes / 2] ^= 4;
    unlink(path);
    assert_int_equal(ts_file_write(path, bytes.data, bytes.bytes, NULL), TS_STATUS_OK);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(ts_kernels_open(device, path, &kernels, &err), TS_STATUS_CORRUPT);
    assert_non_null(strstr(err.message, "changed after signing"));
    ts_buf_free(&bytes);
    drop_folders();
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, remove_database)
    const struct CMUnitTest tests[] = {
        TEST(refuses_files_that_others_can_write), TEST(searches_in_order),
        TEST(users_layer_over_the_systems),        TEST(systems_folder_needs_a_trusted_signature),
        TEST(signed_file_of_others_loads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
