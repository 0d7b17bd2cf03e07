/* Speed of a tokenizer on one core: a megabyte of English, code, Chinese, emoji and combining
 * marks, mixed line by line. Prints one JSON line a tokenizer: best and median of the rounds.
 * Usage: tokenizer DIR_OR_TOKENIZER_JSON... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../runtime/tunesmith.h"

enum { BYTES = 1 << 20, ROUNDS = 9, WORDS = 24 };

/* Word stock of each kind of text; lines are random draws, so that no line repeats and no cache of
 * words would flatter. */
static const char *const english[WORDS] = {
    "the",       "quick",           "remembered", "tokenizer", "isn't", "over",    "12,480",
    "Ladies'",   "merging",         "of",         "and",       "a",     "whether", "it's",
    "(perhaps)", "unbelievable;",   "We'll",      "HELLO",     "to",    "in",      "that",
    "was",       "extraordinarily", "1997."};
static const char *const code[WORDS] = {"for (int i = 0;",
                                        "i < count;",
                                        "i++) {",
                                        "return",
                                        "static const",
                                        "uint8_t *",
                                        "memcpy(a, b, n);",
                                        "\tif (!x)",
                                        "#include <stdio.h>",
                                        "0x7fff",
                                        "->next",
                                        "==",
                                        "&&",
                                        "// comment",
                                        "struct",
                                        "}",
                                        "    ",
                                        "array[index]",
                                        "NULL",
                                        "printf(\"%d\\n\",",
                                        "while",
                                        "size_t",
                                        "camelCaseName",
                                        "snake_case_name"};
static const char *const chinese[WORDS] = {"我们", "今天", "的",   "是",   "机器学习", "模型",
                                           "，",   "。",   "图像", "中文", "文字",     "処理",
                                           "北京", "大学", "在",   "了",   "一个",     "问题",
                                           "可以", "语言", "数据", "、",   "日本語",   "한국어"};
static const char *const marks[WORDS] = {"\U0001F600",
                                         "\U0001F468\u200D\U0001F469\u200D\U0001F467",
                                         "e\u0301te\u0301",
                                         "cafe\u0301",
                                         "\u2764\uFE0F",
                                         "\U0001F44D\U0001F3FD",
                                         "n\u0303",
                                         "a\u030A",
                                         "\u0915\u093F",
                                         "\u0928\u092E\u0938\u094D\u0924\u0947",
                                         "Vie\u0323\u0302t",
                                         "\u0644\u064E",
                                         "z\u0351\u0343\u0352",
                                         "\u05E9\u05C1",
                                         "\U0001F1E9\U0001F1EA",
                                         "\u0E17\u0E35\u0E48",
                                         "o\u0308",
                                         "na\u00EFve",
                                         "\u03B1\u0301",
                                         "\u0438\u0306",
                                         "\U0001F680",
                                         "u\u0308ber",
                                         "c\u0327a",
                                         "\u1100\u1161\u11A8"};

static uint32_t random_below(uint32_t limit) {
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % limit;
}

static char *make_text(size_t *bytes) {
    static const struct {
        const char *const *words;
        const char *between;
    } kinds[] = {{english, " "}, {code, " "}, {chinese, ""}, {marks, " "}};
    char *text = malloc(BYTES + 4096);
    if (!text) exit(1);
    size_t at = 0;
    for (int line = 0; at < BYTES; line++) {
        for (uint32_t word = 0, words = 6 + random_below(12); word < words; word++) {
            const char *next = kinds[line % 4].words[random_below(WORDS)];
            at += (size_t)sprintf(text + at, "%s%s", word ? kinds[line % 4].between : "", next);
        }
        text[at++] = '\n';
    }
    *bytes = at;
    return text;
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int bench(const char *path, const char *text, size_t bytes) {
    ts_tokenizer *tokenizer = NULL;
    ts_err err;
    double seconds[ROUNDS];
    size_t count = 0;
    double start = now_s();
    if (ts_tokenizer_load(path, &tokenizer, &err)) return fprintf(stderr, "%s\n", err.message), 1;
    double load = now_s() - start;
    for (int round = 0; round < ROUNDS; round++) {
        int32_t *ids = NULL;
        start = now_s();
        if (ts_tokenizer_encode(tokenizer, text, bytes, false, &ids, &count, &err))
            return fprintf(stderr, "%s\n", err.message), 1;
        seconds[round] = now_s() - start;
        ts_free(ids);
    }
    qsort(seconds, ROUNDS, sizeof *seconds, by_value);
    printf("{\"vocabulary\": %d, \"bytes\": %zu, \"ids\": %zu, \"load_s\": %.3f, \"best_s\": %.4f, "
           "\"median_s\": %.4f, \"mb_per_s\": %.2f}\n",
           ts_tokenizer_size(tokenizer), bytes, count, load, seconds[0], seconds[ROUNDS / 2],
           (double)bytes / seconds[ROUNDS / 2] / 1e6);
    ts_tokenizer_close(tokenizer);
    return 0;
}

int main(int argc, char **argv) {
    size_t bytes;
    char *text = make_text(&bytes);
    int failed = argc < 2;
    for (int i = 1; i < argc; i++) failed |= bench(argv[i], text, bytes);
    free(text);
    return failed;
}
