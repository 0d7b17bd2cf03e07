/* Messages between the tuner and its worker processes: one length-prefixed frame a message.
 *
 * A message is built in a ts_buf with the put functions and read back with a tuner_reader in the
 * same order. Both ends are the same program on the same machine, so numbers travel as they lie in
 * memory. */
#ifndef TUNER_CHANNEL_H
#define TUNER_CHANNEL_H

#include "../db/base.h"

void tuner_put_u64(ts_buf *message, uint64_t value);
void tuner_put_f64(ts_buf *message, double value);
void tuner_put_bytes(ts_buf *message, const void *data, size_t bytes);
void tuner_put_text(ts_buf *message, const char *text); /* NULL travels as "" */

/* Reads a message from its start. Reading past the end sets `failed` and yields zeros and "", so
 * that a reader checks once at its end. Text and bytes are borrowed from the message. */
typedef struct tuner_reader {
    const char *at, *end;
    bool failed;
} tuner_reader;

tuner_reader tuner_read(const ts_buf *message);
uint64_t tuner_get_u64(tuner_reader *reader);
double tuner_get_f64(tuner_reader *reader);
const void *tuner_get_bytes(tuner_reader *reader, size_t *bytes);
const char *tuner_get_text(tuner_reader *reader);

/* Sends one frame; blocks until it is handed to the kernel. IO when the other end is gone. */
ts_status tuner_channel_send(int fd, const ts_buf *message, ts_err *err);
/* Receives one frame into *out (cleared first). `deadline_s` on the tuner_now_s clock; 0 waits for
 * ever. NOT_FOUND: the other end closed. CANCELLED: the deadline passed. */
ts_status tuner_channel_receive(int fd, double deadline_s, ts_buf *out, ts_err *err);

/* Seconds on the monotonic clock. */
double tuner_now_s(void);
/* Seconds since 1970: when something happened, for people. */
double tuner_unix_time_s(void);

#endif
