/* Chat form and rotary positions. A message list made of the input must give ids whose positions
 * can be computed, with text that stays text; ids and grids straight from the input must be refused
 * or give positions in bounds. The rest of the input is a chat template.
 *
 * Input: kind of form, media (count, then 3 bytes each), items (kind, then text up to a NUL), 0xFF,
 * template.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "runtime/text/chat.h"

enum { MEDIA = 4, ITEMS = 12 };

static const rt_media_ids names = {
    .vision_start = 609, .vision_end = 610, .image = 612, .video = 613, .merge = 2};

typedef struct input {
    const uint8_t *at, *end;
} input;

static uint8_t take(input *in) { return in->at < in->end ? *in->at++ : 0; }

static ts_tokenizer *tokenizer(void) {
    static ts_tokenizer *loaded = NULL;
    ts_err err;
    if (!loaded)
        fuzz_require(!ts_tokenizer_load("tests/fixtures/qwen2vl-mnist", &loaded, &err),
                     "the fixture loads");
    return loaded;
}

static rt_grid take_grid(input *in) {
    /* Mostly small and whole; the highest values are extents at the ends of their range. */
    static const int32_t ends[] = {0, -1, INT32_MAX, INT32_MIN, INT32_MAX - 1, 1 << 30, 65536, 3};
    int32_t side[3];
    for (int i = 0; i < 3; i++) {
        uint8_t byte = take(in);
        side[i] = byte >= 248 ? ends[byte - 248] : byte % 8 * (i ? 2 : 1) + (i ? 2 : 1);
    }
    return (rt_grid){side[0], side[1], side[2]};
}

/* Positions are a sequence's: nothing below the start, nothing at or behind the next number. */
static void check_positions(const rt_mrope *before, const rt_mrope *after, const int32_t *positions,
                            size_t count) {
    fuzz_require((size_t)(after->length - before->length) == count, "the length grows by the ids");
    fuzz_require(after->next - before->next >= (count > 0), "positions go on");
    for (size_t i = 0; i < 3 * count; i++)
        fuzz_require(positions[i] >= before->next && positions[i] < after->next,
                     "positions between start and next");
}

static ts_status extend(rt_mrope *state, const rt_media *media, const int32_t *ids, size_t count) {
    int32_t *positions = malloc(3 * count * sizeof *positions + 1);
    rt_mrope before = *state;
    ts_err err;
    ts_status status = rt_mrope_extend(state, &names, media, ids, count, positions, &err);
    fuzz_check_error(status, &err);
    if (status == TS_STATUS_OK)
        check_positions(&before, state, positions, count);
    else
        fuzz_require(state->next == before.next && state->length == before.length,
                     "a refused call changes nothing");
    free(positions);
    return status;
}

static size_t occurrences(const int32_t *ids, size_t count, int32_t id) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) found += ids[i] == id;
    return found;
}

static size_t placeholders(const rt_grid *grids, size_t count) {
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t tokens = 0;
        fuzz_require(!rt_grid_placeholders(grids[i], names.merge, &tokens, NULL),
                     "an encoded grid has placeholders");
        sum += (size_t)tokens;
    }
    return sum;
}

static void chat(input *in) {
    rt_chat_item items[ITEMS];
    rt_grid grids[2][ITEMS];
    size_t media[2] = {0}, count = 0, id_count = 0;
    uint8_t flags = take(in);
    rt_chat_form form = {.kind = flags & 1 ? RT_CHAT_BASE : RT_CHAT_TURNS};
    rt_chat_options options = {.number_media = flags & 2, .no_answer = flags & 4};
    if (flags & 8) options.system = "<|image_pad|>";
    while (count < ITEMS && in->at < in->end && *in->at != 0xFF) {
        uint8_t kind = take(in) % 4;
        rt_chat_item *item = &items[count++];
        if (kind < 2) {
            const uint8_t *stop = memchr(in->at, 0, (size_t)(in->end - in->at));
            size_t bytes = (size_t)((stop ? stop : in->end) - in->at);
            *item = (rt_chat_item){RT_CHAT_TEXT, (const char *)in->at, bytes, {0}};
            in->at += stop ? bytes + 1 : bytes;
        } else {
            rt_grid grid = take_grid(in);
            /* What is refused has no size; what is taken must stay a test of seconds. */
            if (grid.t > 0 && (grid.t > 64 || grid.h > 256 || grid.w > 256)) grid.t = 0;
            *item = (rt_chat_item){.kind = kind == 2 ? RT_CHAT_IMAGE : RT_CHAT_VIDEO, .grid = grid};
            grids[kind == 3][media[kind == 3]++] = grid;
        }
    }
    rt_chat_message messages[] = {{"user", items, count / 2},
                                  {"assistant", items + count / 2, count - count / 2}};
    int32_t *ids = NULL;
    ts_err err;
    ts_status status = rt_chat_encode(&form, tokenizer(), &names, messages, 2, &options, &ids,
                                      &id_count, &err);
    fuzz_check_error(status, &err);
    if (status != TS_STATUS_OK) return;
    for (int video = 0; video < 2; video++)
        fuzz_require(occurrences(ids, id_count, video ? names.video : names.image) ==
                         placeholders(grids[video], media[video]),
                     "only media are placeholders");
    fuzz_require(occurrences(ids, id_count, names.vision_start) == media[0] + media[1],
                 "each medium starts once");
    rt_mrope state = {0};
    rt_media list = {grids[0], grids[1], media[0], media[1]};
    fuzz_require(extend(&state, &list, ids, id_count) == TS_STATUS_OK, "own ids have positions");
    ts_free(ids);
}

/* Ids of the input's own: the low bits choose text or a placeholder. */
static void raw_ids(input in) {
    rt_grid grids[2][MEDIA];
    size_t media[2] = {take(&in) % MEDIA, take(&in) % MEDIA};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < media[k]; i++) grids[k][i] = take_grid(&in);
    rt_mrope state = {.next = take(&in) ? 0 : INT32_MAX - 40, .length = 0};
    size_t count = (size_t)(in.end - in.at);
    int32_t *ids = malloc(count * sizeof *ids + 1);
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = in.at[i];
        ids[i] = byte % 3 == 0 ? byte : byte % 3 == 1 ? names.image : names.video;
    }
    rt_media list = {grids[0], grids[1], media[0], media[1]};
    if (extend(&state, &list, ids, count) == TS_STATUS_OK && count > 0)
        extend(&state, &list, ids, count); /* the next turn */
    free(ids);
}

static void template(input in) {
    rt_chat_form form;
    ts_buf text = {0};
    ts_err err;
    ts_buf_append(&text, in.at, (size_t)(in.end - in.at));
    ts_status status = rt_chat_recognise("template", text.data, &form, &err);
    fuzz_check_error(status, &err);
    if (status == TS_STATUS_OK) rt_chat_free(&form);
    ts_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, data + size};
    if (size == 0) return 0;
    raw_ids(in);
    chat(&in);
    template(in);
    return 0;
}
