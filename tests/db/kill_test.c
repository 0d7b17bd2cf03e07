/* kill -9 of a writing process at random instants: no committed row is lost, the file stays whole, and the next
 * writer goes on. Two writers run at a time, since recovery must not disturb the one that lives.
 */
#include "sample.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { WRITERS = 2 };

/* Stores rows until killed and acknowledges each by its number, after the store has returned. Closing now and
 * then puts the checkpoint and the change of journal mode into reach of the kill too. */
static void write_until_killed(const char *path, int round, int writer, int acknowledge) {
    db_writer *w = NULL;
    for (int32_t i = 0;; i++) {
        char variant[64];
        snprintf(variant, sizeof variant, "axpy/rows round=%d writer=%d i=%d", round, writer, i);
        db_kernel kernel = sample_kernel(i % 8);
        db_result result = sample_result(0);
        kernel.variant = result.variant = variant;
        if (!w && db_writer_open(path, &w, NULL) != TS_STATUS_OK) _exit(1);
        if (db_write_kernel(w, &kernel, &result.kernel_id, NULL) != TS_STATUS_OK) _exit(2);
        if (db_write_result(w, &result, NULL) != TS_STATUS_OK) _exit(3);
        if (write(acknowledge, &i, sizeof i) != sizeof i) _exit(4);
        if (i % 16 == 15) {
            db_writer_close(w);
            w = NULL;
        }
    }
}

typedef struct writer {
    pid_t pid;
    int pipe;
} writer;

static writer start_writer(const char *path, int round, int number) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        write_until_killed(path, round, number, ends[1]);
    }
    close(ends[1]);
    return (writer){pid, ends[0]};
}

/* Kills the writer and returns the number of rows that it had acknowledged. */
static int32_t kill_writer(writer w) {
    int status = 0;
    assert_int_equal(kill(w.pid, SIGKILL), 0);
    assert_int_equal(waitpid(w.pid, &status, 0), w.pid);
    if (!WIFSIGNALED(status)) fail_msg("a writer gave up at step %d", WEXITSTATUS(status));
    int32_t last = -1, number;
    while (read(w.pipe, &number, sizeof number) == sizeof number) last = number;
    close(w.pipe);
    return last + 1;
}

typedef struct tally {
    char prefix[64];
    int32_t rows;
} tally;

static void count_row(void *context, const db_result *result) {
    tally *t = context;
    t->rows += strncmp(result->variant, t->prefix, strlen(t->prefix)) == 0 && result->kernel_id > 0;
}

static void check_rows(const char *path, int round, const int32_t acknowledged[WRITERS]) {
    db_writer *w = NULL;
    db_result place = sample_result(0);
    CHECK_OK(db_writer_open(path, &w, &err));
    for (int i = 0; i < WRITERS; i++) {
        tally t = {.rows = 0};
        snprintf(t.prefix, sizeof t.prefix, "axpy/rows round=%d writer=%d ", round, i);
        CHECK_OK(db_each_result(db_writer_reader(w), place.problem, place.target, place.device.name,
                                count_row, &t, &err));
        /* One more may be committed whose acknowledgement the kill prevented. */
        assert_in_range(t.rows, acknowledged[i], acknowledged[i] + 1);
    }
    db_writer_close(w);
    assert_int_equal(query_int(path, "SELECT count(*) FROM pragma_integrity_check"
                                     " WHERE integrity_check <> 'ok'"),
                     0);
    assert_int_equal(query_int(path, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    db_image image = {0};
    CHECK_OK(db_image_load(path, NULL, &image, &err));
    if (image.warning_count) fail_msg("%s", image.warnings[0]);
    db_image_free(&image);
}

static void killed_writers_lose_nothing(void **state) {
    (void)state;
    enum { ROUNDS = 36, ROUNDS_A_FILE = 4, LONGEST_US = 40000 };
    srand(7);
    int32_t rows = 0;
    for (int round = 0; round < ROUNDS; round++) {
        char name[16];
        snprintf(name, sizeof name, "%d.db",
                 round / ROUNDS_A_FILE); /* a new file: kills creation too */
        const char *path = in_scratch(name);
        writer writers[WRITERS];
        int32_t acknowledged[WRITERS];
        for (int i = 0; i < WRITERS; i++) writers[i] = start_writer(path, round, i);
        for (int i = 0; i < WRITERS; i++) {
            struct timespec wait = {.tv_nsec = 1000L * (rand() % LONGEST_US)};
            nanosleep(&wait, NULL);
            acknowledged[i] = kill_writer(writers[i]);
            rows += acknowledged[i];
        }
        check_rows(path, round, acknowledged);
    }
    assert_true(rows > ROUNDS); /* the writers did get to work */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_writers_lose_nothing, make_scratch, remove_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
