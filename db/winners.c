/* Text export of winners: database image -> sorted rows -> one JSON file a (target, device).
 *
 * The fields come from the winner's record (row.c), so a new one is exported without a change here.
 * Lines are built one by one and joined by hand, because the layout (one winner a line, for diffs)
 * is ours.
 */
#include "winners.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "row.h"

/* Seven digits are finer than any clock here resolves and keep 12.345 as 12.345. */
#define REAL_DIGITS JSON_REAL_PRECISION(7)

static int compare_rows(const void *left, const void *right) {
    const db_winner *a = &((const db_winner_row *)left)->winner;
    const db_winner *b = &((const db_winner_row *)right)->winner;
    int order = strcmp(a->target, b->target);
    if (order == 0) order = strcmp(a->device.name, b->device.name);
    return order ? order : strcmp(a->problem, b->problem);
}

static bool same_file(const db_winner *a, const db_winner *b) {
    return strcmp(a->target, b->target) == 0 && strcmp(a->device.name, b->device.name) == 0;
}

/* ---- text ---- */

static json_t *field_json(const db_field *field, const void *row) {
    const void *member = (const char *)row + field->offset;
    switch (field->type) {
    case DB_TEXT: return json_string(*(const char *const *)member); /* NULL: not UTF-8 */
    case DB_INT32: return json_integer(*(const int32_t *)member);
    case DB_INT64: return json_integer(*(const int64_t *)member);
    case DB_BOOL: return json_boolean(*(const bool *)member);
    case DB_REAL: {
        double value = *(const double *)member;
        return isfinite(value) ? json_real(value) : json_null();
    }
    }
    return NULL;
}

/* Appends `value` in one line and frees it; false if it is NULL or cannot be written. */
static bool append_json(ts_buf *out, json_t *value) {
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | REAL_DIGITS) : NULL;
    if (text) ts_buf_printf(out, "%s", text);
    free(text);
    json_decref(value);
    return text != NULL;
}

/* {"problem": ..., ...}: target and device name stand once, at the top of the file. */
static bool append_winner(ts_buf *out, const db_winner_row *row) {
    json_t *line = json_object();
    bool ok = line != NULL;
    for (size_t i = 0; i < db_winner_record.field_count && ok; i++) {
        const db_field *field = &db_winner_record.fields[i];
        bool in_head = field->offset == offsetof(db_winner, target) ||
                       field->offset == offsetof(db_winner, device.name);
        if (in_head) continue;
        ok = json_object_set_new(line, field->parameter + 1, field_json(field, &row->winner)) == 0;
    }
    const struct {
        const char *name, *text;
    } of_kernel[] = {{"spec", row->kernel->spec},
                     {"abi", row->kernel->abi},
                     {"signature", row->kernel->signature}};
    for (size_t i = 0; i < sizeof of_kernel / sizeof of_kernel[0] && ok; i++) {
        ok = json_object_set_new(line, of_kernel[i].name, json_string(of_kernel[i].text)) == 0;
    }
    if (ok) return append_json(out, line);
    json_decref(line);
    return false;
}

static ts_status render(const db_winner_row *rows, size_t count, ts_buf *out, ts_err *err) {
    ts_buf_printf(out, "{\n\"format\": %d,\n\"target\": ", DB_WINNERS_FORMAT);
    bool ok = append_json(out, json_string(rows[0].winner.target));
    ts_buf_printf(out, ",\n\"device\": ");
    ok = ok && append_json(out, json_string(rows[0].winner.device.name));
    ts_buf_printf(out, ",\n\"winners\": [");
    for (size_t i = 0; i < count && ok; i++) {
        ts_buf_printf(out, "%s\n", i ? "," : "");
        ok = append_winner(out, &rows[i]);
        if (!ok) {
            return ts_fail(err, TS_STATUS_CORRUPT,
                           "the winner of %.200s has a text that is not UTF-8",
                           rows[i].winner.problem);
        }
    }
    ts_buf_printf(out, "\n]\n}\n");
    if (!ok) return ts_fail(err, TS_STATUS_CORRUPT, "a target or device name is not UTF-8");
    if (out->failed) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "out of memory writing winners");
    return TS_STATUS_OK;
}

/* ---- files ---- */

/* Names come from the database: nothing but letters, digits, _ and single dashes reaches a path. */
static void append_slug(ts_buf *out, const char *text) {
    bool dash = false, any = false;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = isalnum(c) || c == '_';
        if (plain) ts_buf_printf(out, "%s%c", dash && any ? "-" : "", tolower(c));
        any = any || plain;
        dash = !plain;
    }
}

static void file_name(ts_buf *out, const char *folder, const db_winner *winner) {
    ts_buf_printf(out, "%s/", folder);
    append_slug(out, winner->target);
    ts_buf_printf(out, "-");
    append_slug(out, winner->device.name);
    ts_buf_printf(out, ".json");
}

/* Two devices whose names differ only in what a slug drops would overwrite each other. */
static bool name_taken(const db_image *image, size_t end, const char *folder, const ts_buf *name) {
    bool taken = false;
    for (size_t i = 0; i < end && !taken; i++) {
        if (i > 0 && same_file(&image->winners[i - 1].winner, &image->winners[i].winner)) continue;
        ts_buf other = {0};
        file_name(&other, folder, &image->winners[i].winner);
        taken = !other.failed && strcmp(other.data, name->data) == 0;
        ts_buf_free(&other);
    }
    return taken;
}

/* Writes rows [begin, end), which are of one target and device. */
static ts_status write_group(const db_image *image, size_t begin, size_t end, const char *path,
                             bool is_folder, ts_err *err) {
    ts_buf name = {0}, text = {0};
    ts_status status = TS_STATUS_OK;
    if (is_folder) {
        file_name(&name, path, &image->winners[begin].winner);
    } else {
        ts_buf_printf(&name, "%s", path);
    }
    if (name.failed) {
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "out of memory writing winners");
        goto done;
    }
    if (is_folder && name_taken(image, begin, path, &name)) {
        status = ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "two devices would share the file %s",
                         name.data);
        goto done;
    }
    status = render(image->winners + begin, end - begin, &text, err);
    if (status == TS_STATUS_OK) status = ts_file_write(name.data, text.data, text.bytes, err);

done:
    ts_buf_free(&name);
    ts_buf_free(&text);
    return status;
}

ts_status db_export_winners(const char *db_path, const char *dir_or_file, ts_err *err) {
    db_image image = {0};
    ts_status status = db_image_load(db_path, NULL, &image, err);
    if (status != TS_STATUS_OK) goto done;
    if (image.warning_count) {
        status = ts_fail(err, TS_STATUS_CORRUPT, "nothing exported: %s", image.warnings[0]);
        goto done;
    }
    if (image.winner_count == 0) {
        status = ts_fail(err, TS_STATUS_NOT_FOUND, "%s holds no winners; run tune first", db_path);
        goto done;
    }
    qsort(image.winners, image.winner_count, sizeof *image.winners, compare_rows);

    struct stat info;
    bool is_folder = stat(dir_or_file, &info) == 0 && S_ISDIR(info.st_mode);
    const db_winner *first = &image.winners[0].winner;
    if (!is_folder && !same_file(first, &image.winners[image.winner_count - 1].winner)) {
        status = ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                         "%s holds winners of several targets or devices; %s must be a folder",
                         db_path, dir_or_file);
        goto done;
    }
    for (size_t begin = 0, end; begin < image.winner_count && status == TS_STATUS_OK; begin = end) {
        end = begin + 1;
        while (end < image.winner_count &&
               same_file(&image.winners[begin].winner, &image.winners[end].winner)) {
            end++;
        }
        status = write_group(&image, begin, end, dir_or_file, is_folder, err);
    }

done:
    db_image_free(&image);
    return status;
}
