/* One table describes every option: getopt's array, the parser and --help are made from it. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum option_kind { TEXT, OPTIONAL, LIST, COUNT, REAL, SEED, FLAG, DTYPE } option_kind;

typedef struct option_row {
    const char *name;
    char letter; /* 0: long form only */
    option_kind kind;
    size_t member;
    const char *argument, *help;
} option_row;

#define AT(member) offsetof(infer_options, member)

static const option_row table[] = {
    {"model", 'm', TEXT, AT(model_dir), "DIR", "model directory as on Hugging Face"},
    {"prompt", 'p', TEXT, AT(prompt), "TEXT", "the prompt"},
    {"file", 'f', TEXT, AT(prompt_file), "FILE", "read the prompt from a file"},
    {"tokens", 0, TEXT, AT(tokens), "ID,ID,...", "the prompt as ids; needs no tokenizer"},
    {"new-tokens", 'n', COUNT, AT(new_tokens), "N",
     "most tokens to generate (128); 0 stops after the prompt"},
    {"context", 'c', COUNT, AT(context), "N",
     "most tokens of prompt and output together (no limit)"},
    {"threads", 't', COUNT, AT(threads), "N", "CPU threads (one a core)"},
    {"temp", 0, REAL, AT(temperature), "X", "temperature; 0 is greedy"},
    {"top-k", 0, COUNT, AT(top_k), "K", "sample from the K best; 0 is all"},
    {"top-p", 0, REAL, AT(top_p), "P", "sample from the smallest set of this probability"},
    {"min-p", 0, REAL, AT(min_p), "P", "drop what is below this share of the best probability"},
    {"repeat-penalty", 0, REAL, AT(repeat_penalty), "R", "penalty on ids that were seen; 1 is off"},
    {"seed", 0, SEED, AT(seed), "N", "seed of sampling and of random weights (0)"},
    {"device", 0, TEXT, AT(device), "NAME", "auto, cpu, cuda, cuda:1 (auto)"},
    {"dtype", 0, DTYPE, AT(dtype), "NAME",
     "auto, fp32, bf16, fp16; auto is fp32 on the CPU, else the checkpoint's"},
    {"db", 0, TEXT, AT(database), "FILE",
     "kernel database (TUNESMITH_DB, then the user's, then the system's)"},
    {"embeds", 0, TEXT, AT(embeds), "FILE",
     "own embeddings (safetensors): a table for all ids, or inputs_embeds as the prompt"},
    {"logits", 0, TEXT, AT(logits), "FILE",
     "write the logits of all prompt positions (safetensors)"},
    {"perplexity", 0, TEXT, AT(perplexity), "FILE",
     "perplexity of a text, in windows of 128 tokens"},
    {"no-fuse", 0, FLAG, AT(no_fuse), NULL,
     "attention with q, k and v projected apart, for comparison (Qwen2-VL)"},
    {"bench", 0, FLAG, AT(bench), NULL,
     "load, prefill and decode speed, and how near decoding is to the memory's"},
    {"profile", 0, OPTIONAL, AT(profile), "[=FILE]",
     "where the time goes, by layer and sub-layer: a table, and a page (HTML) in FILE"},
    {"random-weights", 0, FLAG, AT(random_weights), NULL,
     "make weights up from --seed: -m needs only a config.json, or is one"},
    {"system", 0, TEXT, AT(system), "TEXT", "system message of a chat (the model directory's)"},
    {"image", 0, LIST, AT(images), "FILE",
     "an image of the prompt (PNG, JPEG, WebP); may be repeated"},
    {"video", 0, LIST, AT(videos), "FILE|DIR",
     "a video, or a folder of its frames; may be repeated"},
    {"fps", 0, REAL, AT(fps), "X", "frames to take of each second of a video file (2)"},
    {"max-frames", 0, COUNT, AT(max_frames), "N", "take at most N frames of a video (768)"},
    {"image-min-pixels", 0, COUNT, AT(image_min_pixels), "N",
     "enlarge an image to at least N pixels (the model directory's)"},
    {"image-max-pixels", 0, COUNT, AT(image_max_pixels), "N",
     "shrink an image to at most N pixels (the model directory's)"},
    {"pixels", 0, TEXT, AT(pixels), "FILE",
     "write the pixel_values and grids of images and videos (safetensors) and stop"},
    {"tokenize", 0, FLAG, AT(tokenize), NULL,
     "print the prompt's ids, special tokens parsed, and stop"},
    {"detokenize", 0, TEXT, AT(detokenize), "ID,ID,...", "print the text of ids and stop"},
    {"json", 0, FLAG, AT(json), NULL, "one JSON object a line"},
    {"verbose", 'v', FLAG, AT(verbose), NULL, "timings on stderr"},
    {"version", 0, FLAG, AT(version), NULL, "print the version"},
    {"help", 'h', FLAG, AT(help), NULL, "print this"},
};

enum { ROWS = sizeof table / sizeof *table };

#define SEE_HELP "; infer --help lists the options\n"

static bool complain(const char *option, const char *value, const char *expected) {
    fprintf(stderr, "infer: --%s %s: %s expected" SEE_HELP, option, value, expected);
    return false;
}

/* `found` is getopt's verdict on a word that is no option of the table, or lacks its value. Of a
 * group of letters getopt names the letter alone. */
static bool complain_of_word(int found, const char *word) {
    char letter[] = {'-', (char)optopt, '\0'};
    if (optopt > 0 && optopt < 256) word = letter;
    if (found == ':') {
        fprintf(stderr, "infer: option '%s' requires an argument" SEE_HELP, word);
    } else {
        fprintf(stderr, "infer: unrecognized option '%s'" SEE_HELP, word);
    }
    return false;
}

static bool parse_integer(const char *text, long long low, long long high, long long *out) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < low || value > high) return false;
    *out = value;
    return true;
}

static bool parse_dtype(const char *text, ts_dtype *out) {
    for (ts_dtype dtype = TS_DTYPE_AUTO; dtype <= TS_DTYPE_BF16; dtype++) {
        if (strcmp(text, ts_dtype_name(dtype)) == 0) {
            *out = dtype;
            return true;
        }
    }
    return false;
}

static bool append(infer_list *list, const char *value) {
    const char **items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items) {
        fprintf(stderr, "infer: out of memory\n");
        return false;
    }
    items[list->count++] = value;
    list->items = items;
    return true;
}

/* Stores the value of one option. */
static bool set(const option_row *row, const char *value, infer_options *out) {
    void *member = (char *)out + row->member;
    long long integer;
    char *end;
    switch (row->kind) {
    case TEXT: *(const char **)member = value; return true;
    case OPTIONAL: *(const char **)member = value ? value : ""; return true;
    case LIST: return append(member, value);
    case FLAG: *(bool *)member = true; return true;
    case COUNT:
        if (!parse_integer(value, 0, INT32_MAX, &integer))
            return complain(row->name, value, "a number from 0");
        *(int32_t *)member = (int32_t)integer;
        return true;
    case SEED:
        if (!parse_integer(value, 0, INT64_MAX, &integer))
            return complain(row->name, value, "a number from 0");
        *(uint64_t *)member = (uint64_t)integer;
        return true;
    case REAL:
        *(float *)member = strtof(value, &end);
        if (end == value || *end != '\0' || !isfinite(*(float *)member))
            return complain(row->name, value, "a number");
        return true;
    case DTYPE:
        if (!parse_dtype(value, (ts_dtype *)member))
            return complain(row->name, value, "auto, fp32, bf16 or fp16");
        return true;
    }
    return false;
}

/* What getopt cannot know: which options need or exclude each other. */
static bool check(const infer_options *o) {
    int prompts = (o->prompt != NULL) + (o->prompt_file != NULL) + (o->tokens != NULL);
    const char *message = NULL;
    if (o->help || o->version) return true;
    if (!o->model_dir) {
        message = "which model? (-m DIR)";
    } else if (prompts > 1) {
        message = "-p, -f and --tokens exclude each other";
    } else if (o->tokenize && !o->prompt && !o->prompt_file) {
        message = "--tokenize needs -p TEXT or -f FILE";
    } else if (o->pixels && o->images.count + o->videos.count == 0) {
        message = "--pixels needs --image FILE or --video FILE";
    } else if (!(o->fps >= 0)) {
        message = "--fps: a positive number of frames a second";
    } else if (o->max_frames == 1) {
        message = "--max-frames: at least 2";
    } else if (o->images.count + o->videos.count > 0 && !o->pixels && !o->prompt &&
               !o->prompt_file) {
        message = "--image and --video go with a prompt: -p TEXT or -f FILE";
    } else if (o->perplexity && (prompts > 0 || o->logits)) {
        message = "--perplexity takes no prompt and no --logits";
    } else if (o->profile && o->perplexity) {
        message = "--profile goes with a prompt or --bench, not with --perplexity";
    } else if (prompts == 0 && !o->detokenize && !o->perplexity && !o->bench && !o->embeds &&
               !o->pixels) {
        message = "what prompt? (-p TEXT, -f FILE or --tokens ID,ID,...)";
    }
    if (message) fprintf(stderr, "infer: %s" SEE_HELP, message);
    return message == NULL;
}

bool infer_options_parse(int argc, char **argv, infer_options *out) {
    struct option longs[ROWS + 1] = {0};
    char letters[2 * ROWS + 2] = ":", *next = letters + 1; /* ':' tells a missing value apart */
    for (int i = 0; i < ROWS; i++) {
        bool takes = table[i].kind != FLAG;
        int needs = !takes                       ? no_argument
                    : table[i].kind == OPTIONAL ? optional_argument
                                                : required_argument;
        longs[i] = (struct option){table[i].name, needs, NULL, 256 + i};
        if (table[i].letter) *next++ = table[i].letter;
        if (table[i].letter && takes) *next++ = ':';
    }
    infer_options o = {.new_tokens = -1,
                       .temperature = NAN,
                       .top_p = NAN,
                       .min_p = NAN,
                       .repeat_penalty = NAN,
                       .top_k = -1,
                       .device = "auto"};
    bool good = true;
    opterr = 0; /* getopt's messages would lack the hint */
    for (int found; good && (found = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
        const option_row *row = found >= 256 ? &table[found - 256] : NULL;
        for (int i = 0; !row && i < ROWS; i++) {
            if (table[i].letter == found) row = &table[i];
        }
        good = row ? set(row, optarg, &o) : complain_of_word(found, argv[optind - 1]);
    }
    if (good && optind < argc) {
        fprintf(stderr, "infer: what is \"%s\"?" SEE_HELP, argv[optind]);
        good = false;
    }
    good = good && check(&o);
    *out = o;
    return good;
}

void infer_options_free(infer_options *options) {
    free(options->images.items);
    free(options->videos.items);
}

void infer_options_help(void) {
    printf(
        "infer -m DIR (-p TEXT | -f FILE | --tokens ID,ID,...) [OPTION]...\n"
        "Continues a text with the model of a Hugging Face directory and kernels from a tuned database.\n\n");
    for (int i = 0; i < ROWS; i++) {
        char name[64];
        int length = table[i].letter
                         ? snprintf(name, sizeof name, "-%c, --%s", table[i].letter, table[i].name)
                         : snprintf(name, sizeof name, "    --%s", table[i].name);
        if (table[i].argument)
            snprintf(name + length, sizeof name - (size_t)length,
                     table[i].kind == OPTIONAL ? "%s" : " %s", table[i].argument);
        printf("  %-28s %s\n", name, table[i].help);
    }
    printf(
        "\nThe completion goes to stdout, all else to stderr. Exit status: 0 done, 1 something failed, 2 usage,\n"
        "3 no such device.\n");
}

bool infer_parse_ids(const char *text, const char *option, int32_t **ids, size_t *count) {
    size_t capacity = 1;
    for (const char *p = text; *p; p++) capacity += *p == ',';
    int32_t *list = malloc(capacity * sizeof *list);
    size_t length = 0;
    const char *at = text;
    while (list && *at) {
        char *end;
        errno = 0;
        long value = strtol(at, &end, 10);
        while (*end == ' ') end++;
        if (end == at || (*end != ',' && *end != '\0') || errno != 0 || value < 0 ||
            value > INT32_MAX)
            break;
        list[length++] = (int32_t)value;
        at = *end == ',' ? end + 1 : end;
    }
    if (!list || *at || length == 0 || at[-1] == ',') {
        free(list);
        return complain(option, text, "ids with commas between");
    }
    *ids = list;
    *count = length;
    return true;
}

ts_sampler_options infer_sampling(const infer_options *o, const ts_model *model) {
    ts_sampler_options s = ts_model_sampling(model);
    if (!isnan(o->temperature)) s.temperature = o->temperature;
    if (!isnan(o->top_p)) s.top_p = o->top_p;
    if (!isnan(o->min_p)) s.min_p = o->min_p;
    if (!isnan(o->repeat_penalty)) s.repeat_penalty = o->repeat_penalty;
    if (o->top_k >= 0) s.top_k = o->top_k;
    s.seed = o->seed;
    return s;
}
