/* A worker process: forked from the tuner, answers one request at a time, dies with the tuner.
 *
 * What can hang, crash or poison a process (compilers, candidates on a device) happens in workers.
 * A worker that crashes or misses its deadline is killed with its children and forked again at the
 * next request. Only the tuner's single thread may call these functions. */
#ifndef TUNER_WORKER_H
#define TUNER_WORKER_H

#include <sys/types.h>

#include "channel.h"

/* Runs in the child: reads requests from `fd` and answers each one, until the channel closes.
 * `context` is the parent's memory as it was at the fork. */
typedef void (*tuner_serve)(int fd, void *context);

typedef struct tuner_worker {
    tuner_serve serve;
    void *context;
    pid_t pid; /* 0: not running */
    int fd;
    bool busy;
    double deadline_s; /* of the request under way */
    void *tag;         /* the caller's mark on the request under way */
    unsigned starts;   /* how often it was forked; tells a caller that cached state is gone */
} tuner_worker;

typedef enum tuner_outcome { TUNER_REPLY, TUNER_CRASH, TUNER_TIMEOUT } tuner_outcome;

typedef struct tuner_reply {
    tuner_worker *worker;
    void *tag;
    tuner_outcome outcome;
    ts_buf message;   /* TUNER_REPLY: the answer */
    char detail[160]; /* otherwise what happened: "killed by signal 11 (Segmentation fault)" */
} tuner_reply;

void tuner_worker_init(tuner_worker *worker, tuner_serve serve, void *context);
/* Forks the worker if it does not run. A caller that sends its first request later may start it
 * early. */
ts_status tuner_worker_start(tuner_worker *worker, ts_err *err);
/* Sends a request to an idle worker, which is started first if need be. */
ts_status tuner_worker_send(tuner_worker *worker, const ts_buf *request, double timeout_s,
                            void *tag, ts_err *err);
/* Waits until one of the busy workers has answered, crashed or run out of time, at most `max_ms`
 * (-1: no limit). True: *reply says which (reuse the same reply; tuner_reply_free at the end).
 * False: time passed, a signal arrived, or nobody is busy. */
bool tuner_workers_wait(tuner_worker *workers, size_t count, int max_ms, tuner_reply *reply);
/* Closes the channel and ends the process; a busy one is killed. */
void tuner_worker_stop(tuner_worker *worker);
void tuner_reply_free(tuner_reply *reply);

#endif
