/* The text form of winners, read: what winners.c writes, and whatever else a file may hold.
 *
 * The members of a winner come from its record (row.c), as in the export. A file is taken whole or
 * not at all: half of its winners would look like all of them.
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "row.h"
#include "winners.h"

/* The export of every shape of every family is some hundred KiB. */
enum { MOST_BYTES = 64 << 20 };

typedef struct text_reader {
    const char *path;
    ts_arena *arena;
    const json_t *root;
    size_t index; /* of the winner under way */
    ts_err *err;
} text_reader;

static ts_status bad(const text_reader *r, const char *name, const char *problem) {
    return ts_fail(r->err, TS_STATUS_CORRUPT, "%s: winner %zu: %s: %s", r->path, r->index + 1, name,
                   problem);
}

/* ---- one value ---- */

static ts_status read_text(const text_reader *r, const char *name, const json_t *value,
                           const char **out) {
    const char *text = json_string_value(value);
    if (!text) return bad(r, name, "must be a string");
    *out = ts_arena_strdup(r->arena, text);
    return *out ? TS_STATUS_OK
                : ts_fail(r->err, TS_STATUS_OUT_OF_MEMORY, "%s: out of memory", r->path);
}

static ts_status read_integer(const text_reader *r, const char *name, const json_t *value,
                              int64_t most, int64_t *out) {
    *out = json_integer_value(value);
    if (!json_is_integer(value) || *out < 0 || *out > most)
        return bad(r, name, "must be a whole number from 0");
    return TS_STATUS_OK;
}

static ts_status read_real(const text_reader *r, const char *name, const json_t *value,
                           double *out) {
    *out = json_is_null(value) ? NAN : json_number_value(value);
    if (!json_is_null(value) && (!json_is_number(value) || !(*out >= 0)))
        return bad(r, name, "must be null or a number from 0");
    return TS_STATUS_OK;
}

static ts_status read_value(const text_reader *r, const db_field *field, const json_t *value,
                            void *member) {
    const char *name = field->parameter + 1;
    int64_t number = 0;
    switch (field->type) {
    case DB_TEXT: return read_text(r, name, value, member);
    case DB_REAL: return read_real(r, name, value, member);
    case DB_INT64: return read_integer(r, name, value, INT64_MAX, member);
    case DB_INT32:
        TS_TRY(read_integer(r, name, value, INT32_MAX, &number));
        *(int32_t *)member = (int32_t)number;
        return TS_STATUS_OK;
    case DB_BOOL:
        if (!json_is_boolean(value)) return bad(r, name, "must be true or false");
        *(bool *)member = json_is_true(value);
        return TS_STATUS_OK;
    }
    return bad(r, name, "is of no known type");
}

/* ---- one winner ---- */

/* Target and device name stand once, at the top of the file. */
static const json_t *value_of(const text_reader *r, const json_t *line, const db_field *field) {
    bool in_head = field->offset == offsetof(db_winner, target) ||
                   field->offset == offsetof(db_winner, device.name);
    return json_object_get(in_head ? r->root : line, field->parameter + 1);
}

static ts_status read_winner(const text_reader *r, const json_t *line, db_text_winner *out) {
    if (!json_is_object(line)) return bad(r, "it", "must be an object");
    for (size_t i = 0; i < db_winner_record.field_count; i++) {
        const db_field *field = &db_winner_record.fields[i];
        const json_t *value = value_of(r, line, field);
        void *member = (char *)&out->winner + field->offset;
        if (value)
            TS_TRY(read_value(r, field, value, member));
        else if (field->absent)
            *(const char **)member = field->absent;
        else
            return bad(r, field->parameter + 1, "is missing");
    }
    const struct {
        const char *name, **member;
    } of_kernel[] = {{"spec", &out->spec}, {"abi", &out->abi}, {"signature", &out->signature}};
    for (size_t i = 0; i < sizeof of_kernel / sizeof of_kernel[0]; i++) {
        const json_t *value = json_object_get(line, of_kernel[i].name);
        if (!value) return bad(r, of_kernel[i].name, "is missing");
        TS_TRY(read_text(r, of_kernel[i].name, value, of_kernel[i].member));
    }
    const char *evidence = out->winner.evidence;
    if (strcmp(evidence, "measured") != 0 && strcmp(evidence, "predicted") != 0)
        return bad(r, "evidence", "must be \"measured\" or \"predicted\"");
    ts_err why;
    if (db_record_check(&db_winner_record, &out->winner, &why) != TS_STATUS_OK)
        return bad(r, "too long", why.message);
    return TS_STATUS_OK;
}

/* ---- the file ---- */

static ts_status read_root(text_reader *r, db_text_winners *out) {
    const json_t *winners = json_object_get(r->root, "winners"), *line;
    const json_t *format = json_object_get(r->root, "format");
    if (!json_is_integer(format) || !json_is_array(winners))
        return ts_fail(r->err, TS_STATUS_CORRUPT,
                       "%s: no winners (\"format\", \"winners\"); `tune export` writes such files",
                       r->path);
    if (json_integer_value(format) != DB_WINNERS_FORMAT)
        return ts_fail(r->err, TS_STATUS_UNSUPPORTED,
                       "%s: format %lld of winners, this program reads %d", r->path,
                       (long long)json_integer_value(format), DB_WINNERS_FORMAT);
    size_t count = json_array_size(winners);
    if (count == 0) return ts_fail(r->err, TS_STATUS_CORRUPT, "%s: it lists no winner", r->path);
    db_text_winner *items = ts_arena_alloc(r->arena, count * sizeof *items);
    if (!items) return ts_fail(r->err, TS_STATUS_OUT_OF_MEMORY, "%s: out of memory", r->path);
    json_array_foreach(winners, r->index, line) TS_TRY(read_winner(r, line, &items[r->index]));
    *out = (db_text_winners){items, count};
    return TS_STATUS_OK;
}

ts_status db_text_winners_read(const char *path, ts_arena *arena, db_text_winners *out,
                               ts_err *err) {
    ts_buf text = {0};
    struct stat info;
    json_error_t why;
    if (stat(path, &info) == 0 && (!S_ISREG(info.st_mode) || info.st_size > MOST_BYTES))
        return ts_fail(err, TS_STATUS_CORRUPT, "%s: no file, or one of more than %d MiB", path,
                       MOST_BYTES >> 20);
    ts_status status = ts_file_read(path, &text, err);
    json_t *root = NULL;
    if (status == TS_STATUS_OK) {
        root = json_loadb(text.data ? text.data : "", text.bytes, JSON_REJECT_DUPLICATES, &why);
        if (!root)
            status = ts_fail(err, TS_STATUS_CORRUPT, "%s: line %d: %s", path, why.line, why.text);
    }
    text_reader reader = {path, arena, root, 0, err};
    if (status == TS_STATUS_OK) status = read_root(&reader, out);
    json_decref(root);
    ts_buf_free(&text);
    return status;
}
