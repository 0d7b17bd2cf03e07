/* Length-prefixed messages over a socket pair.
 *
 * Owns the frame format (8 bytes of length, then the payload) and the packing of numbers and text.
 * Knows nothing of what the messages mean: compile_worker.c and device_worker.c define their own.
 * Sending never raises SIGPIPE; a worker that died shows up as a failed send or as the end of the
 * stream. */
#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

double tuner_now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double tuner_unix_time_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void tuner_put_u64(ts_buf *message, uint64_t value) {
    ts_buf_append(message, &value, sizeof value);
}

void tuner_put_f64(ts_buf *message, double value) { ts_buf_append(message, &value, sizeof value); }

void tuner_put_bytes(ts_buf *message, const void *data, size_t bytes) {
    tuner_put_u64(message, bytes);
    if (bytes) ts_buf_append(message, data, bytes);
}

void tuner_put_text(ts_buf *message, const char *text) {
    const char *present = text ? text : "";
    tuner_put_bytes(message, present, strlen(present) + 1);
}

tuner_reader tuner_read(const ts_buf *message) {
    return (tuner_reader){message->data, message->data + message->bytes, false};
}

static const void *take(tuner_reader *reader, size_t bytes) {
    if (reader->failed || (size_t)(reader->end - reader->at) < bytes) {
        reader->failed = true;
        return NULL;
    }
    const char *at = reader->at;
    reader->at += bytes;
    return at;
}

uint64_t tuner_get_u64(tuner_reader *reader) {
    uint64_t value = 0;
    const void *at = take(reader, sizeof value);
    if (at) memcpy(&value, at, sizeof value);
    return value;
}

double tuner_get_f64(tuner_reader *reader) {
    double value = 0;
    const void *at = take(reader, sizeof value);
    if (at) memcpy(&value, at, sizeof value);
    return value;
}

const void *tuner_get_bytes(tuner_reader *reader, size_t *bytes) {
    uint64_t length = tuner_get_u64(reader);
    const void *at = take(reader, length);
    *bytes = at ? (size_t)length : 0;
    return at;
}

const char *tuner_get_text(tuner_reader *reader) {
    size_t bytes;
    const char *text = tuner_get_bytes(reader, &bytes);
    if (!text || bytes == 0 || text[bytes - 1] != '\0') {
        reader->failed = true;
        return "";
    }
    return text;
}

static ts_status send_all(int fd, const void *data, size_t bytes, ts_err *err) {
    const char *at = data;
    while (bytes > 0) {
        ssize_t sent = send(fd, at, bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return ts_fail(err, TS_STATUS_IO, "send to worker: %s", strerror(errno));
        at += sent;
        bytes -= (size_t)sent;
    }
    return TS_STATUS_OK;
}

ts_status tuner_channel_send(int fd, const ts_buf *message, ts_err *err) {
    if (message->failed) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "message to worker");
    uint64_t length = message->bytes;
    TS_TRY(send_all(fd, &length, sizeof length, err));
    return send_all(fd, message->data, message->bytes, err);
}

static ts_status await(int fd, double deadline_s, ts_err *err) {
    for (;;) {
        double left_s = deadline_s - tuner_now_s();
        if (deadline_s > 0 && left_s <= 0)
            return ts_fail(err, TS_STATUS_CANCELLED, "worker: timed out");
        struct pollfd wait = {fd, POLLIN, 0};
        int ready = poll(&wait, 1, deadline_s > 0 ? (int)(left_s * 1e3) + 1 : -1);
        if (ready > 0) return TS_STATUS_OK;
        if (ready < 0 && errno != EINTR)
            return ts_fail(err, TS_STATUS_IO, "poll: %s", strerror(errno));
    }
}

static ts_status receive_all(int fd, double deadline_s, void *data, size_t bytes, ts_err *err) {
    char *at = data;
    while (bytes > 0) {
        TS_TRY(await(fd, deadline_s, err));
        ssize_t got = recv(fd, at, bytes, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0 || (got < 0 && errno == ECONNRESET))
            return ts_fail(err, TS_STATUS_NOT_FOUND, "worker: closed its channel");
        if (got < 0) return ts_fail(err, TS_STATUS_IO, "receive from worker: %s", strerror(errno));
        at += got;
        bytes -= (size_t)got;
    }
    return TS_STATUS_OK;
}

ts_status tuner_channel_receive(int fd, double deadline_s, ts_buf *out, ts_err *err) {
    ts_buf_clear(out);
    uint64_t left = 0;
    TS_TRY(receive_all(fd, deadline_s, &left, sizeof left, err));
    char chunk[1 << 16];
    while (left > 0) {
        size_t bytes = left < sizeof chunk ? (size_t)left : sizeof chunk;
        TS_TRY(receive_all(fd, deadline_s, chunk, bytes, err));
        ts_buf_append(out, chunk, bytes);
        left -= bytes;
    }
    if (out->failed) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "message from worker");
    return TS_STATUS_OK;
}
