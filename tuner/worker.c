/* Worker processes: fork, one request at a time, deadline, kill and replace.
 *
 * A worker gets its own process group, so that killing it ends the compilers it started too, and so
 * that Ctrl-C on the terminal reaches the tuner alone. PR_SET_PDEATHSIG ends it when the tuner is
 * killed. The child leaves by _exit: it must not flush the parent's buffers nor run its exit
 * handlers (SQLite). */
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void tuner_worker_init(tuner_worker *worker, tuner_serve serve, void *context) {
    *worker = (tuner_worker){.serve = serve, .context = context, .fd = -1};
}

static void run_child(tuner_worker *worker, pid_t parent, int fd) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1); /* the tuner died between fork and prctl */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    worker->serve(fd, worker->context);
    _exit(0);
}

ts_status tuner_worker_start(tuner_worker *worker, ts_err *err) {
    if (worker->pid) return TS_STATUS_OK;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return ts_fail(err, TS_STATUS_IO, "socketpair: %s", strerror(errno));
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return ts_fail(err, TS_STATUS_IO, "fork: %s", strerror(errno));
    }
    if (pid == 0) {
        close(ends[0]);
        run_child(worker, parent, ends[1]);
    }
    close(ends[1]);
    setpgid(pid, pid); /* also here: the child may be killed before it gets to it */
    worker->pid = pid;
    worker->fd = ends[0];
    worker->busy = false;
    worker->starts++;
    return TS_STATUS_OK;
}

static void describe_exit(int status, char *out, size_t bytes) {
    if (WIFSIGNALED(status))
        snprintf(out, bytes, "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(out, bytes, "exited with code %d", WEXITSTATUS(status));
}

static void reap(tuner_worker *worker, char *detail, size_t bytes) {
    int status = 0;
    while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR) {
    }
    kill(-worker->pid, SIGKILL); /* children that outlived it */
    describe_exit(status, detail, bytes);
    close(worker->fd);
    worker->pid = 0;
    worker->fd = -1;
    worker->busy = false;
}

ts_status tuner_worker_send(tuner_worker *worker, const ts_buf *request, double timeout_s,
                            void *tag, ts_err *err) {
    /* A worker may have died since its last answer (out-of-memory killer): one fresh start is
     * tried. */
    for (int attempt = 0;; attempt++) {
        TS_TRY(tuner_worker_start(worker, err));
        ts_status status = tuner_channel_send(worker->fd, request, err);
        if (status == TS_STATUS_OK) break;
        char detail[160];
        kill(worker->pid, SIGKILL);
        reap(worker, detail, sizeof detail);
        if (status != TS_STATUS_IO || attempt > 0) return status;
    }
    worker->busy = true;
    worker->deadline_s = tuner_now_s() + timeout_s;
    worker->tag = tag;
    return TS_STATUS_OK;
}

static void take_reply(tuner_worker *worker, tuner_reply *reply) {
    reply->worker = worker;
    reply->tag = worker->tag;
    reply->outcome = TUNER_REPLY;
    reply->detail[0] = '\0';
    switch (tuner_channel_receive(worker->fd, worker->deadline_s, &reply->message, NULL)) {
    case TS_STATUS_OK: worker->busy = false; return;
    case TS_STATUS_CANCELLED:
        reply->outcome = TUNER_TIMEOUT;
        kill(-worker->pid, SIGKILL);
        reap(worker, reply->detail, sizeof reply->detail);
        snprintf(reply->detail, sizeof reply->detail, "no answer within the time limit");
        return;
    default:
        reply->outcome = TUNER_CRASH;
        kill(-worker->pid, SIGKILL); /* no effect on one that is dead already */
        reap(worker, reply->detail, sizeof reply->detail);
    }
}

enum { MAX_WORKERS = 256 };

bool tuner_workers_wait(tuner_worker *workers, size_t count, int max_ms, tuner_reply *reply) {
    struct pollfd waits[MAX_WORKERS];
    tuner_worker *busy[MAX_WORKERS];
    size_t busy_count = 0;
    double now_s = tuner_now_s(), end_s = now_s + (max_ms < 0 ? 1e9 : 1e-3 * max_ms),
           first_s = end_s;
    for (size_t i = 0; i < count && busy_count < MAX_WORKERS; i++) {
        if (!workers[i].busy) continue;
        if (workers[i].deadline_s < first_s) first_s = workers[i].deadline_s;
        waits[busy_count] = (struct pollfd){workers[i].fd, POLLIN, 0};
        busy[busy_count++] = &workers[i];
    }
    if (busy_count == 0) return false;
    double left_s = first_s - now_s;
    int wait_ms = left_s <= 0 ? 0 : left_s > 1e6 ? -1 : (int)(left_s * 1e3) + 1;
    if (poll(waits, (nfds_t)busy_count, wait_ms) < 0) return false;
    now_s = tuner_now_s();
    for (size_t i = 0; i < busy_count; i++) {
        if (!waits[i].revents && now_s < busy[i]->deadline_s) continue;
        take_reply(busy[i], reply);
        return true;
    }
    return false;
}

void tuner_worker_stop(tuner_worker *worker) {
    if (!worker->pid) return;
    if (worker->busy) kill(-worker->pid, SIGKILL);
    shutdown(worker->fd, SHUT_RDWR); /* the serve loop ends on the closed channel */
    char detail[160];
    reap(worker, detail, sizeof detail);
}

void tuner_reply_free(tuner_reply *reply) { ts_buf_free(&reply->message); }
