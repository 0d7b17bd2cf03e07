/* Worker processes: answers, crashes, hangs, replacement, and death with their parent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tuner/worker.h"

enum { ASK_ECHO, ASK_CRASH, ASK_EXIT, ASK_HANG };

static void serve(int fd, void *context) {
    ts_buf request = {0}, answer = {0};
    while (tuner_channel_receive(fd, 0, &request, NULL) == TS_STATUS_OK) {
        tuner_reader reader = tuner_read(&request);
        uint64_t ask = tuner_get_u64(&reader);
        const char *text = tuner_get_text(&reader);
        if (ask == ASK_CRASH) abort();
        if (ask == ASK_EXIT) _exit(3);
        if (ask == ASK_HANG) pause();
        ts_buf_clear(&answer);
        tuner_put_text(&answer, text);
        tuner_put_u64(&answer, *(const uint64_t *)context);
        tuner_channel_send(fd, &answer, NULL);
    }
}

static uint64_t shared = 77;

static void send_request(tuner_worker *worker, uint64_t ask, const char *text, double timeout_s) {
    ts_buf request = {0};
    ts_err err = {0};
    tuner_put_u64(&request, ask);
    tuner_put_text(&request, text);
    if (tuner_worker_send(worker, &request, timeout_s, worker, &err) != TS_STATUS_OK)
        fail_msg("%s", err.message);
    ts_buf_free(&request);
}

static void expect_echo(tuner_worker *worker, const char *text) {
    tuner_reply reply = {0};
    send_request(worker, ASK_ECHO, text, 10);
    assert_true(tuner_workers_wait(worker, 1, -1, &reply));
    assert_int_equal(reply.outcome, TUNER_REPLY);
    assert_ptr_equal(reply.tag, worker);
    tuner_reader reader = tuner_read(&reply.message);
    assert_string_equal(tuner_get_text(&reader), text);
    assert_int_equal(tuner_get_u64(&reader), 77);
    assert_false(reader.failed);
    tuner_get_u64(&reader);
    assert_true(reader.failed);
    tuner_reply_free(&reply);
}

static void answers_come_back(void **state) {
    (void)state;
    tuner_worker worker;
    tuner_worker_init(&worker, serve, &shared);
    char *large = malloc(3000001); /* more than a socket holds */
    memset(large, 'x', 3000000);
    large[3000000] = '\0';
    expect_echo(&worker, "one");
    expect_echo(&worker, "");
    expect_echo(&worker, large);
    assert_int_equal(worker.starts, 1);
    free(large);
    tuner_worker_stop(&worker);
    assert_int_equal(worker.pid, 0);
}

static void expect_loss(tuner_worker *worker, uint64_t ask, double timeout_s, tuner_outcome outcome,
                        const char *detail) {
    tuner_reply reply = {0};
    send_request(worker, ask, "", timeout_s);
    while (!tuner_workers_wait(worker, 1, 1000, &reply)) assert_true(worker->busy);
    assert_int_equal(reply.outcome, outcome);
    if (!strstr(reply.detail, detail)) fail_msg("\"%s\" lacks \"%s\"", reply.detail, detail);
    tuner_reply_free(&reply);
}

static void what_breaks_a_worker_costs_one_request(void **state) {
    (void)state;
    tuner_worker worker;
    tuner_worker_init(&worker, serve, &shared);
    expect_echo(&worker, "before");
    expect_loss(&worker, ASK_CRASH, 10, TUNER_CRASH, "signal 6");
    expect_echo(&worker, "after a crash");
    expect_loss(&worker, ASK_EXIT, 10, TUNER_CRASH, "code 3");
    expect_echo(&worker, "after an exit");
    double begin_s = tuner_now_s();
    expect_loss(&worker, ASK_HANG, 0.3, TUNER_TIMEOUT, "time limit");
    assert_true(tuner_now_s() - begin_s < 5);
    expect_echo(&worker, "after a hang");
    assert_int_equal(worker.starts, 4);
    tuner_worker_stop(&worker);
}

static void a_worker_killed_while_idle_is_replaced(void **state) {
    (void)state;
    tuner_worker worker;
    tuner_worker_init(&worker, serve, &shared);
    expect_echo(&worker, "before");
    kill(worker.pid, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)worker.pid, &info, WEXITED | WNOWAIT), 0);
    expect_echo(&worker, "after");
    assert_int_equal(worker.starts, 2);
    tuner_worker_stop(&worker);
}

static void several_workers_are_waited_for_at_once(void **state) {
    (void)state;
    tuner_worker workers[3];
    tuner_reply reply = {0};
    for (int i = 0; i < 3; i++) tuner_worker_init(&workers[i], serve, &shared);
    send_request(&workers[0], ASK_HANG, "", 1.0);
    send_request(&workers[1], ASK_ECHO, "quick", 10);
    assert_true(tuner_workers_wait(workers, 3, -1, &reply));
    assert_ptr_equal(reply.worker, &workers[1]);
    while (!tuner_workers_wait(workers, 3, 1000, &reply)) {
    }
    assert_ptr_equal(reply.worker, &workers[0]);
    assert_int_equal(reply.outcome, TUNER_TIMEOUT);
    assert_false(tuner_workers_wait(workers, 3, 0, &reply)); /* nobody is busy */
    tuner_reply_free(&reply);
    for (int i = 0; i < 3; i++) tuner_worker_stop(&workers[i]);
}

/* A process that starts a worker, tells its pid, and is killed: the worker must go too. */
static void workers_die_with_their_parent(void **state) {
    (void)state;
    int ends[2];
    pid_t grandchild = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        tuner_worker worker;
        tuner_worker_init(&worker, serve, &shared);
        tuner_worker_start(&worker, NULL);
        if (write(ends[1], &worker.pid, sizeof worker.pid) < 0) _exit(1);
        pause();
    }
    assert_int_equal(read(ends[0], &grandchild, sizeof grandchild), sizeof grandchild);
    usleep(50000); /* the worker needs a moment to ask for the signal */
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    int tries = 0;
    while (kill(grandchild, 0) == 0 && tries++ < 200) usleep(10000);
    /* Gone, or a zombie that an init process which does not reap has inherited. */
    if (kill(grandchild, 0) == 0) {
        char path[64], text[256] = "";
        snprintf(path, sizeof path, "/proc/%d/stat", (int)grandchild);
        ts_buf stat = {0};
        if (ts_file_read(path, &stat, NULL) == TS_STATUS_OK)
            snprintf(text, sizeof text, "%s", stat.data);
        ts_buf_free(&stat);
        if (!strstr(text, ") Z ")) fail_msg("the worker lives on: %s", text);
    }
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_back),
        cmocka_unit_test(what_breaks_a_worker_costs_one_request),
        cmocka_unit_test(a_worker_killed_while_idle_is_replaced),
        cmocka_unit_test(several_workers_are_waited_for_at_once),
        cmocka_unit_test(workers_die_with_their_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
