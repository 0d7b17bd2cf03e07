/* tokenizer.json: loaded, then used on texts that meet every part of it. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "runtime/tunesmith.h"

static const char *const texts[] = {
    "",
    "Hello world, it's 1234 o'clock  \n\n\tand <|endoftext|> here.",
    "caf\xc3\xa9 cafe\xcc\x81 \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x98\x80 \xff\xc0\xaf",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
};

static void take_text(void *context, const char *text, size_t bytes) {
    (void)context;
    fuzz_touch(text, bytes);
}

static void encode_and_decode(const ts_tokenizer *tokenizer, const char *input) {
    int32_t *ids = NULL;
    char *text = NULL;
    size_t count = 0, bytes = 0;
    ts_err err = {0};
    ts_status status = ts_tokenizer_encode(tokenizer, input, strlen(input), true, &ids, &count,
                                           &err);
    fuzz_check_error(status, &err);
    if (status != TS_STATUS_OK) return;
    for (size_t i = 0; i < count; i++)
        fuzz_require(ids[i] >= 0 && ids[i] < ts_tokenizer_size(tokenizer), "ids of the vocabulary");
    status = ts_tokenizer_decode(tokenizer, ids, count, false, &text, &bytes, &err);
    fuzz_check_error(status, &err);
    if (status == TS_STATUS_OK) fuzz_touch(text, bytes + 1);
    ts_free(text);
    ts_free(ids);
}

/* Ids around both ends of the vocabulary, of which a file may leave most undefined. */
static void stream_ids(const ts_tokenizer *tokenizer) {
    enum { END = 64 };
    int32_t size = ts_tokenizer_size(tokenizer);
    ts_text_stream stream = {0};
    for (int32_t i = -1; i <= size; i++) {
        if (i == END && size > 2 * END) i = size - END;
        ts_tokenizer_stream(tokenizer, &stream, i, take_text, NULL);
    }
    ts_text_stream_end(&stream, take_text, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ts_tokenizer *tokenizer = NULL;
    ts_err err = {0};
    const char *path = fuzz_file("tokenizer.json", data, size);
    ts_status status = ts_tokenizer_load(path, &tokenizer, &err);
    fuzz_check_error(status, &err);
    if (status != TS_STATUS_OK) return 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        encode_and_decode(tokenizer, texts[i]);
    stream_ids(tokenizer);
    ts_tokenizer_close(tokenizer);
    return 0;
}
