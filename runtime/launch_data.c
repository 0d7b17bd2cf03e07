/* Launch data JSON -> rt_launch_data. Formulas themselves are formula.c's.
 *
 * The text comes from a database row whose hash was right, so errors here mean another format or a
 * generator at fault; still nothing is believed: sizes, offsets and counts are checked before
 * anything uses them. What only a caller's tooling reads (tensors, names of other args members) is
 * left to it.
 */
#include "launch_data.h"

#include <jansson.h>
#include <string.h>

#include "../db/store.h"

enum { MAX_PARAMETER_BYTES = 4096 }; /* of a CUDA kernel; the args struct begins with a pointer */

static ts_status corrupt(ts_err *err, const char *what) {
    return ts_fail(err, TS_STATUS_CORRUPT, "launch data: %s", what);
}

static ts_status copy_name(const json_t *value, char *out, size_t bytes, const char *what,
                           ts_err *err) {
    const char *text = json_string_value(value);
    if (!text || !*text || strlen(text) >= bytes)
        return ts_fail(err, TS_STATUS_CORRUPT, "launch data: %s is no name of 1 to %zu characters",
                       what, bytes - 1);
    memcpy(out, text, strlen(text) + 1);
    return TS_STATUS_OK;
}

static ts_status read_formula(rt_launch_data *data, const json_t *value, const char *what,
                              rt_formula *out, ts_err *err) {
    const char *text = json_string_value(value);
    if (!text) return ts_fail(err, TS_STATUS_CORRUPT, "launch data: %s is no formula text", what);
    return rt_formula_parse(data, text, out, err);
}

static ts_status read_axes(rt_launch_data *data, const json_t *value, const char *what,
                           rt_formula out[3], ts_err *err) {
    if (json_array_size(value) != 3)
        return ts_fail(err, TS_STATUS_CORRUPT, "launch data: %s is no list of three formulas",
                       what);
    for (size_t i = 0; i < 3; i++)
        TS_TRY(read_formula(data, json_array_get(value, i), what, &out[i], err));
    return TS_STATUS_OK;
}

/* Finds the member `name` of "args": whether it has this type and lies inside the struct. */
static bool find_member(const json_t *args, const char *name, const char *type, size_t bytes,
                        size_t args_bytes, size_t *out_offset) {
    size_t i;
    json_t *member;
    json_array_foreach(args, i, member) {
        const char *member_name = json_string_value(json_object_get(member, "name"));
        const char *member_type = json_string_value(json_object_get(member, "type"));
        if (!member_name || !member_type || strcmp(member_name, name) != 0) continue;
        json_int_t offset = json_integer_value(json_object_get(member, "offset"));
        if (strcmp(member_type, type) != 0 || offset < 0 || args_bytes < bytes ||
            (size_t)offset > args_bytes - bytes)
            return false;
        *out_offset = (size_t)offset;
        return true;
    }
    return false;
}

static ts_status read_extent(const json_t *args, const char *name, size_t args_bytes,
                             rt_extent *out, ts_err *err) {
    out->wide = find_member(args, name, "i64", sizeof(int64_t), args_bytes, &out->offset);
    if (out->wide || find_member(args, name, "i32", sizeof(int32_t), args_bytes, &out->offset))
        return TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_CORRUPT,
                   "launch data: extent '%s' is no integer inside the args struct", name);
}

static ts_status read_extents(const json_t *root, rt_launch_data *data, ts_err *err) {
    const json_t *extents = json_object_get(root, "extents"), *args = json_object_get(root, "args");
    json_int_t args_bytes = json_integer_value(json_object_get(root, "args_bytes"));
    if (!json_is_array(extents) || json_array_size(extents) > RT_MAX_EXTENTS)
        return corrupt(err, "bad extents");
    if (!json_is_array(args)) return corrupt(err, "no args");
    if (args_bytes < (json_int_t)sizeof(void *) || args_bytes > MAX_PARAMETER_BYTES)
        return corrupt(err, "bad args_bytes");
    data->args_bytes = (size_t)args_bytes;
    for (size_t i = 0; i < json_array_size(extents); i++) {
        rt_extent *extent = &data->extents[i];
        TS_TRY(copy_name(json_array_get(extents, i), extent->name, sizeof extent->name, "an extent",
                         err));
        TS_TRY(read_extent(args, extent->name, data->args_bytes, extent, err));
        data->extent_count++;
    }
    return TS_STATUS_OK;
}

static ts_status read_work(const json_t *root, rt_launch_data *data, ts_err *err) {
    const json_t *work = json_object_get(root, "work");
    data->has_work = work != NULL;
    if (!work) return TS_STATUS_OK;
    TS_TRY(read_formula(data, json_object_get(work, "flops"), "work.flops", &data->flops, err));
    return read_formula(data, json_object_get(work, "bytes"), "work.bytes", &data->bytes, err);
}

static ts_status read_zeros(const json_t *root, rt_launch_data *data, ts_err *err) {
    const json_t *zeros = json_object_get(root, "zero");
    if (zeros && (!json_is_array(zeros) || json_array_size(zeros) > RT_MAX_ZEROS))
        return corrupt(err, "bad zero");
    for (size_t i = 0; i < json_array_size(zeros); i++) {
        const json_t *range = json_array_get(zeros, i);
        if (json_array_size(range) != 2)
            return corrupt(err, "an entry of zero is no pair of offset and bytes");
        TS_TRY(read_formula(data, json_array_get(range, 0), "a zero offset", &data->zeros[i].offset,
                            err));
        TS_TRY(read_formula(data, json_array_get(range, 1), "a zero size", &data->zeros[i].bytes,
                            err));
        data->zero_count++;
    }
    return TS_STATUS_OK;
}

/* A positive number up to `limit`; else 0, which no member may be. */
static uint32_t read_number(const json_t *value, uint32_t limit) {
    json_int_t number = json_integer_value(value);
    return number > 0 && number <= (json_int_t)limit ? (uint32_t)number : 0;
}

/* What the driver's rules say of a box. */
static ts_status read_box(const json_t *map, rt_box *out, ts_err *err) {
    const json_t *sides = json_object_get(map, "box"), *part = json_object_get(map, "part");
    *out = (rt_box){.element_bytes = read_number(json_object_get(map, "bytes"), 4),
                    .part = read_number(part, INT32_MAX / 4),
                    .columns = read_number(json_array_get(sides, 0), 64),
                    .rows = read_number(json_array_get(sides, 1), 256)};
    uint32_t row = out->columns * out->element_bytes;
    if (out->element_bytes != 2 && out->element_bytes != 4)
        return corrupt(err, "bytes of a map are not 2 or 4");
    if (part && (!out->part || out->part * out->element_bytes % 16))
        return corrupt(err, "the part of a map is no multiple of 16 bytes");
    if (json_array_size(sides) != 2 || !out->rows || (row != 32 && row != 64 && row != 128))
        return corrupt(err, "the box of a map is not 32, 64 or 128 bytes by 1 to 256 rows");
    return TS_STATUS_OK;
}

static ts_status read_map(const json_t *args, const json_t *map, rt_launch_data *data, rt_map *out,
                          ts_err *err) {
    const char *tensor = json_string_value(json_object_get(map, "tensor"));
    const char *pitch = json_string_value(json_object_get(map, "pitch"));
    if (!tensor ||
        !find_member(args, tensor, "ptr", sizeof(void *), data->args_bytes, &out->tensor))
        return corrupt(err, "the tensor of a map is no pointer inside the args struct");
    if (!pitch || !find_member(args, pitch, "i64", sizeof(int64_t), data->args_bytes, &out->pitch))
        return corrupt(err, "the pitch of a map is no int64_t inside the args struct");
    TS_TRY(read_box(map, &out->box, err));
    TS_TRY(read_formula(data, json_object_get(map, "columns"), "columns of a map", &out->columns,
                        err));
    return read_formula(data, json_object_get(map, "rows"), "rows of a map", &out->rows, err);
}

static ts_status read_maps(const json_t *args, const json_t *maps, rt_launch_data *data,
                           rt_step *out, ts_err *err) {
    size_t count = json_array_size(maps), align = _Alignof(rt_tensor_map);
    if (!maps) return TS_STATUS_OK;
    if (!data->may_map || data->is_cpu)
        return corrupt(err, "maps are for CUDA kernels in their own format");
    if (count == 0 || count > RT_MAX_MAPS) return corrupt(err, "no maps, or too many");
    if ((data->args_bytes + align - 1) / align * align + count * sizeof(rt_tensor_map) >
        MAX_PARAMETER_BYTES)
        return corrupt(err, "args and maps are too many bytes for a kernel");
    for (size_t i = 0; i < count; i++) {
        TS_TRY(read_map(args, json_array_get(maps, i), data, &out->maps[i], err));
        out->map_count++;
    }
    return TS_STATUS_OK;
}

static ts_status read_dependent(const json_t *launch, rt_step *out, ts_err *err) {
    const json_t *dependent = json_object_get(launch, "dependent");
    if (dependent && !json_is_boolean(dependent)) return corrupt(err, "bad dependent");
    out->dependent = json_is_true(dependent);
    return TS_STATUS_OK;
}

static ts_status read_step(const json_t *args, const json_t *launch, rt_launch_data *data,
                           rt_step *out, ts_err *err) {
    TS_TRY(copy_name(json_object_get(launch, "entry"), out->entry, sizeof out->entry, "an entry",
                     err));
    TS_TRY(read_axes(data, json_object_get(launch, "grid"), "grid", out->grid, err));
    TS_TRY(read_maps(args, json_object_get(launch, "maps"), data, out, err));
    TS_TRY(read_dependent(launch, out, err));
    if (data->is_cpu)
        return read_formula(data, json_object_get(launch, "scratch"), "scratch", &out->memory, err);
    TS_TRY(read_axes(data, json_object_get(launch, "block"), "block", out->block, err));
    return read_formula(data, json_object_get(launch, "shared"), "shared", &out->memory, err);
}

static ts_status read_steps(const json_t *root, rt_launch_data *data, ts_err *err) {
    const json_t *launches = json_object_get(root, "launches");
    const json_t *args = json_object_get(root, "args");
    size_t count = json_array_size(launches);
    if (count == 0 || count > RT_MAX_STEPS) return corrupt(err, "no launches, or too many");
    for (size_t i = 0; i < count; i++) {
        TS_TRY(read_step(args, json_array_get(launches, i), data, &data->steps[i], err));
        data->step_count++;
    }
    return TS_STATUS_OK;
}

static ts_status read_root(const json_t *root, rt_launch_data *data, ts_err *err) {
    json_int_t format = json_integer_value(json_object_get(root, "format"));
    if (format != DB_LAUNCH_FORMAT && format != DB_LAUNCH_FORMAT_MAPS)
        return ts_fail(err, TS_STATUS_CORRUPT,
                       "launch data: format %lld, this library knows %d and %d", (long long)format,
                       DB_LAUNCH_FORMAT, DB_LAUNCH_FORMAT_MAPS);
    data->may_map = format == DB_LAUNCH_FORMAT_MAPS;
    const char *kind = json_string_value(json_object_get(root, "kind"));
    if (!kind || (strcmp(kind, "cpu") != 0 && strcmp(kind, "cuda") != 0))
        return corrupt(err, "bad kind");
    data->is_cpu = strcmp(kind, "cpu") == 0;
    TS_TRY(read_extents(root, data, err));
    TS_TRY(read_work(root, data, err));
    TS_TRY(
        read_formula(data, json_object_get(root, "workspace"), "workspace", &data->workspace, err));
    TS_TRY(read_zeros(root, data, err));
    return read_steps(root, data, err);
}

ts_status rt_launch_data_parse(const char *json, rt_launch_data *out, ts_err *err) {
    json_error_t error;
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return ts_fail(err, TS_STATUS_CORRUPT, "launch data: %s at character %d", error.text,
                       error.position);
    memset(out, 0, sizeof *out);
    ts_status status = read_root(root, out, err);
    json_decref(root);
    return status;
}

int64_t rt_extent_value(const rt_extent *extent, const void *args) {
    const unsigned char *at = (const unsigned char *)args + extent->offset;
    int64_t wide;
    int32_t narrow;
    if (extent->wide) return memcpy(&wide, at, sizeof wide), wide;
    return memcpy(&narrow, at, sizeof narrow), narrow;
}

ts_status rt_launch_data_values(const rt_launch_data *data, const void *args, int64_t sm_count,
                                rt_values *out, ts_err *err) {
    out->sm_count = sm_count;
    for (size_t i = 0; i < data->extent_count; i++) {
        out->extents[i] = rt_extent_value(&data->extents[i], args);
        if (out->extents[i] < 0)
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "extent %s is %lld",
                           data->extents[i].name, (long long)out->extents[i]);
    }
    return TS_STATUS_OK;
}
