/* The safetensors format: u64 header length, JSON header, data. Headers are hostile input: whatever
 * passes here may be read without further checks, because every tensor's bytes lie inside the
 * mapping and are exactly shape * element size, and the tensors of a file tile its data without
 * overlap or hole.
 *
 * A set maps one or more files read-only; tensors of all files are kept in one array sorted by
 * name.
 */
#include "safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../text/json.h"
#include "dtype.h"

enum { PREFIX_BYTES = 8, HEADER_MAX_BYTES = 100000000 };

typedef struct mapping {
    struct mapping *next;
    void *data;
    size_t bytes;
} mapping;

struct rt_tensors {
    ts_arena arena; /* names, paths, mappings */
    mapping *mappings;
    rt_tensor *tensors;
    size_t count, capacity;
};

static const struct {
    const char *name;
    size_t bytes;
    ts_dtype dtype;
} formats[] = {
    {"F32", 4, TS_DTYPE_FP32},  {"F16", 2, TS_DTYPE_FP16},     {"BF16", 2, TS_DTYPE_BF16},
    {"F64", 8, TS_DTYPE_AUTO},  {"I64", 8, TS_DTYPE_AUTO},     {"I32", 4, TS_DTYPE_AUTO},
    {"I16", 2, TS_DTYPE_AUTO},  {"I8", 1, TS_DTYPE_AUTO},      {"U8", 1, TS_DTYPE_AUTO},
    {"U16", 2, TS_DTYPE_AUTO},  {"U32", 4, TS_DTYPE_AUTO},     {"U64", 8, TS_DTYPE_AUTO},
    {"BOOL", 1, TS_DTYPE_AUTO}, {"F8_E4M3", 1, TS_DTYPE_AUTO}, {"F8_E5M2", 1, TS_DTYPE_AUTO},
};

/* Index into formats, or -1. */
static int format_of(const char *name) {
    for (size_t i = 0; name && i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(formats[i].name, name) == 0) return (int)i;
    }
    return -1;
}

/* ---- one header ---- */

/* A non-negative integer, or -1. */
static int64_t natural(const json_t *value) {
    return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value)
                                                                    : -1;
}

static ts_status bad_entry(const rt_tensor *t, const char *what, ts_err *err) {
    return ts_fail(err, TS_STATUS_CORRUPT, "%s: tensor %s: %s", t->file, t->name, what);
}

static ts_status read_shape(const json_t *list, rt_tensor *t, ts_err *err) {
    if (!json_is_array(list) || json_array_size(list) > RT_TENSOR_RANK) {
        return bad_entry(t, "shape is not an array of at most 8 sizes", err);
    }
    t->rank = (int)json_array_size(list);
    t->count = 1;
    for (int i = 0; i < t->rank; i++) {
        t->shape[i] = natural(json_array_get(list, (size_t)i));
        if (t->shape[i] < 0) return bad_entry(t, "shape holds something other than a size", err);
        if (__builtin_mul_overflow(t->count, (size_t)t->shape[i], &t->count)) {
            return bad_entry(t, "shape overflows", err);
        }
    }
    return TS_STATUS_OK;
}

/* Fills *t (name and file are set) from its header entry; `data` is the file's data of
 * `data_bytes`. */
static ts_status read_entry(const json_t *entry, const unsigned char *data, size_t data_bytes,
                            rt_tensor *t, ts_err *err) {
    const json_t *offsets = json_object_get(entry, "data_offsets");
    int format = format_of(json_string_value(json_object_get(entry, "dtype")));
    if (format < 0) return bad_entry(t, "dtype is missing or unknown", err);
    t->dtype = formats[format].name;
    TS_TRY(read_shape(json_object_get(entry, "shape"), t, err));
    if (json_array_size(offsets) != 2) return bad_entry(t, "data_offsets is not [begin, end]", err);
    int64_t begin = natural(json_array_get(offsets, 0)), end = natural(json_array_get(offsets, 1));
    if (begin < 0 || end < begin || (uint64_t)end > data_bytes) {
        return bad_entry(t, "data_offsets lie outside the file", err);
    }
    t->bytes = (size_t)(end - begin);
    t->data = data + begin;
    size_t wanted;
    if (__builtin_mul_overflow(t->count, formats[format].bytes, &wanted) || wanted != t->bytes) {
        return bad_entry(t, "shape and data_offsets disagree", err);
    }
    return TS_STATUS_OK;
}

static rt_tensor *add_tensor(rt_tensors *set, const char *name, const char *file) {
    if (set->count == set->capacity) {
        size_t capacity = set->capacity ? 2 * set->capacity : 64;
        rt_tensor *grown = realloc(set->tensors, capacity * sizeof *grown);
        if (!grown) return NULL;
        set->tensors = grown;
        set->capacity = capacity;
    }
    char *copy = ts_arena_strdup(&set->arena, name);
    if (!copy) return NULL;
    rt_tensor *t = &set->tensors[set->count++];
    *t = (rt_tensor){.name = copy, .file = file};
    return t;
}

static int by_place(const void *a, const void *b) {
    const rt_tensor *x = a, *y = b;
    if (x->data != y->data) return (uintptr_t)x->data < (uintptr_t)y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const rt_tensor *)a)->name, ((const rt_tensor *)b)->name);
}

/* The tensors of one file must follow each other from the first byte of data to the last. */
static ts_status check_tiling(rt_tensor *tensors, size_t count, const unsigned char *data,
                              size_t bytes, const char *file, ts_err *err) {
    const unsigned char *expected = data;
    if (count > 0) qsort(tensors, count, sizeof *tensors, by_place);
    for (size_t i = 0; i < count; i++) {
        const unsigned char *begin = tensors[i].data;
        if (begin < expected)
            return bad_entry(&tensors[i], "its data overlaps another tensor's", err);
        if (begin > expected) return bad_entry(&tensors[i], "there is a hole before its data", err);
        expected = begin + tensors[i].bytes;
    }
    if (expected != data + bytes) {
        return ts_fail(err, TS_STATUS_CORRUPT, "%s: %zu bytes after the last tensor", file,
                       (size_t)(data + bytes - expected));
    }
    return TS_STATUS_OK;
}

static ts_status read_header(rt_tensors *set, const json_t *header, const unsigned char *data,
                             size_t bytes, const char *file, ts_err *err) {
    size_t first = set->count;
    const char *name;
    json_t *entry;
    json_object_foreach((json_t *)header, name, entry) {
        if (!json_is_object(entry)) {
            return ts_fail(err, TS_STATUS_CORRUPT, "%s: tensor %s: its entry is not an object",
                           file, name);
        }
        if (strcmp(name, "__metadata__") == 0) continue;
        rt_tensor *t = add_tensor(set, name, file);
        if (!t) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: header", file);
        TS_TRY(read_entry(entry, data, bytes, t, err));
    }
    if (set->count == first) return check_tiling(NULL, 0, data, bytes, file, err);
    return check_tiling(set->tensors + first, set->count - first, data, bytes, file, err);
}

/* ---- files ---- */

static ts_status map_file(rt_tensors *set, const char *path, mapping **out, ts_err *err) {
    struct stat info;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return ts_fail(err, errno == ENOENT ? TS_STATUS_NOT_FOUND : TS_STATUS_IO, "%s: %s", path,
                       strerror(errno));
    }
    ts_status status = TS_STATUS_OK;
    mapping *m = ts_arena_alloc(&set->arena, sizeof *m);
    if (!m) {
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", path);
    } else if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
        status = ts_fail(err, TS_STATUS_IO, "%s: not a regular file", path);
    } else if (info.st_size < PREFIX_BYTES + 2) {
        status = ts_fail(err, TS_STATUS_CORRUPT,
                         "%s: too short for a safetensors file (%lld bytes)", path,
                         (long long)info.st_size);
    } else {
        m->bytes = (size_t)info.st_size;
        m->data = mmap(NULL, m->bytes, PROT_READ, MAP_PRIVATE, file, 0);
        if (m->data == MAP_FAILED)
            status = ts_fail(err, TS_STATUS_IO, "%s: mmap: %s", path, strerror(errno));
    }
    close(file);
    if (status != TS_STATUS_OK) return status;
    m->next = set->mappings;
    set->mappings = m;
    *out = m;
    return TS_STATUS_OK;
}

static ts_status add_file(rt_tensors *set, const char *path, ts_err *err) {
    mapping *m = NULL;
    json_t *header = NULL;
    char *file = ts_arena_strdup(&set->arena, path);
    if (!file) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", path);
    TS_TRY(map_file(set, file, &m, err));
    const unsigned char *bytes = m->data;
    uint64_t length = 0;
    for (int i = PREFIX_BYTES - 1; i >= 0; i--) length = length << 8 | bytes[i];
    if (length > HEADER_MAX_BYTES || length > m->bytes - PREFIX_BYTES) {
        return ts_fail(err, TS_STATUS_CORRUPT,
                       "%s: header of %llu bytes in a file of %zu (not safetensors, or cut off)",
                       file, (unsigned long long)length, m->bytes);
    }
    const unsigned char *text = bytes + PREFIX_BYTES, *data = text + length;
    if (length == 0 || text[0] != '{') {
        return ts_fail(err, TS_STATUS_CORRUPT, "%s: header does not start with '{'", file);
    }
    ts_status status = rt_json_parse((const char *)text, (size_t)length, file, &header, err);
    if (status == TS_STATUS_OK) {
        status = read_header(set, header, data, m->bytes - PREFIX_BYTES - (size_t)length, file,
                             err);
    }
    json_decref(header);
    return status;
}

/* Sorts by name; the same name in two shards is an error. */
static ts_status finish(rt_tensors *set, ts_err *err) {
    if (set->count > 0) qsort(set->tensors, set->count, sizeof *set->tensors, by_name);
    for (size_t i = 1; i < set->count; i++) {
        const rt_tensor *a = &set->tensors[i - 1], *b = &set->tensors[i];
        if (strcmp(a->name, b->name) == 0) {
            return ts_fail(err, TS_STATUS_CORRUPT, "tensor %s is in both %s and %s", a->name,
                           a->file, b->file);
        }
    }
    return TS_STATUS_OK;
}

ts_status rt_tensors_open(const char *path, rt_tensors **out, ts_err *err) {
    rt_tensors *set = calloc(1, sizeof *set);
    if (!set) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", path);
    ts_status status = add_file(set, path, err);
    if (status == TS_STATUS_OK) status = finish(set, err);
    if (status != TS_STATUS_OK) {
        rt_tensors_close(set);
        return status;
    }
    *out = set;
    return TS_STATUS_OK;
}

void rt_tensors_close(rt_tensors *set) {
    if (!set) return;
    for (mapping *m = set->mappings; m; m = m->next) munmap(m->data, m->bytes);
    free(set->tensors);
    ts_arena_free(&set->arena);
    free(set);
}

/* ---- directories ---- */

static bool is_plain_name(const char *name) {
    return name && name[0] != '\0' && name[0] != '.' && !strchr(name, '/') && !strchr(name, '\\');
}

/* Opens each file that the map names, once: shards of one model are few, so a scan of the map's
 * files seen so far is a scan of the tensors' files. */
static ts_status add_shards(rt_tensors *set, const char *dir, const char *index, const json_t *map,
                            ts_err *err) {
    const char *name;
    json_t *value, *seen = json_object();
    ts_status status = TS_STATUS_OK;
    json_object_foreach((json_t *)map, name, value) {
        const char *file = json_string_value(value);
        if (!is_plain_name(file)) {
            status = ts_fail(err, TS_STATUS_CORRUPT,
                             "%s: weight_map of %s is not a plain file name", index, name);
            break;
        }
        if (json_object_get(seen, file)) continue;
        json_object_set_new(seen, file, json_true());
        const char *path = ts_arena_printf(&set->arena, "%s/%s", dir, file);
        status = path ? add_file(set, path, err)
                      : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", index);
        if (status != TS_STATUS_OK) break;
    }
    json_decref(seen);
    return status;
}

/* Every tensor of the map must be in the file that the map says. */
static ts_status check_map(const rt_tensors *set, const char *index, const json_t *map,
                           ts_err *err) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)map, name, value) {
        const char *file = json_string_value(value);
        const rt_tensor *t = rt_tensors_find(set, name);
        const char *slash = t ? strrchr(t->file, '/') : NULL;
        if (!slash || strcmp(slash + 1, file) != 0) {
            return ts_fail(err, TS_STATUS_CORRUPT, "%s: tensor %s is not in %s", index, name, file);
        }
    }
    return TS_STATUS_OK;
}

static ts_status open_index(rt_tensors *set, const char *dir, const char *index, ts_err *err) {
    json_t *root = NULL;
    TS_TRY(rt_json_read(index, &root, err));
    const json_t *map = json_object_get(root, "weight_map");
    ts_status status = TS_STATUS_OK;
    if (!json_is_object(map))
        status = ts_fail(err, TS_STATUS_CORRUPT, "%s: weight_map is missing", index);
    if (status == TS_STATUS_OK) status = add_shards(set, dir, index, map, err);
    if (status == TS_STATUS_OK) status = finish(set, err);
    if (status == TS_STATUS_OK) status = check_map(set, index, map, err);
    json_decref(root);
    return status;
}

ts_status rt_tensors_open_dir(const char *dir, rt_tensors **out, ts_err *err) {
    rt_tensors *set = calloc(1, sizeof *set);
    ts_status status = TS_STATUS_OUT_OF_MEMORY;
    if (!set) return ts_fail(err, status, "%s", dir);
    const char *single = ts_arena_printf(&set->arena, "%s/model.safetensors", dir);
    const char *index = ts_arena_printf(&set->arena, "%s/model.safetensors.index.json", dir);
    const char *pickle = ts_arena_printf(&set->arena, "%s/pytorch_model.bin", dir);
    if (!single || !index || !pickle) {
        ts_fail(err, status, "%s", dir);
    } else if (access(single, F_OK) == 0) {
        status = add_file(set, single, err);
        if (status == TS_STATUS_OK) status = finish(set, err);
    } else if (access(index, F_OK) == 0) {
        status = open_index(set, dir, index, err);
    } else if (access(pickle, F_OK) == 0) {
        status = ts_fail(
            err, TS_STATUS_UNSUPPORTED,
            "%s holds only pytorch_model.bin, a pickle: take the safetensors form of the model (for Mamba, "
            "the repositories whose names end in -hf)",
            dir);
    } else {
        status = ts_fail(err, TS_STATUS_NOT_FOUND,
                         "%s: no model.safetensors and no model.safetensors.index.json", dir);
    }
    if (status != TS_STATUS_OK) {
        rt_tensors_close(set);
        return status;
    }
    *out = set;
    return TS_STATUS_OK;
}

/* ---- access ---- */

size_t rt_tensors_count(const rt_tensors *set) { return set->count; }

const rt_tensor *rt_tensors_at(const rt_tensors *set, size_t index) { return &set->tensors[index]; }

const rt_tensor *rt_tensors_find(const rt_tensors *set, const char *name) {
    if (set->count == 0) return NULL;
    rt_tensor key = {.name = name};
    return bsearch(&key, set->tensors, set->count, sizeof key, by_name);
}

bool rt_tensor_dtype(const rt_tensor *tensor, ts_dtype *out) {
    ts_dtype dtype = formats[format_of(tensor->dtype)].dtype;
    if (dtype == TS_DTYPE_AUTO) return false;
    *out = dtype;
    return true;
}

static void print_shape(ts_buf *out, int rank, const int64_t *shape) {
    ts_buf_printf(out, "[");
    for (int i = 0; i < rank; i++) ts_buf_printf(out, i ? ", %lld" : "%lld", (long long)shape[i]);
    ts_buf_printf(out, "]");
}

ts_status rt_tensor_check(const rt_tensor *tensor, int rank, const int64_t *shape, ts_err *err) {
    ts_dtype dtype;
    bool same = tensor->rank == rank;
    for (int i = 0; same && i < rank; i++) same = tensor->shape[i] == shape[i];
    if (same && rt_tensor_dtype(tensor, &dtype)) return TS_STATUS_OK;
    if (same) {
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "%s: tensor %s has dtype %s; F32, F16 or BF16 is needed", tensor->file,
                       tensor->name, tensor->dtype);
    }
    ts_buf text = {0};
    print_shape(&text, tensor->rank, tensor->shape);
    ts_buf_printf(&text, ", the config asks for ");
    print_shape(&text, rank, shape);
    ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s: tensor %s has shape %s", tensor->file,
            tensor->name, text.data ? text.data : "that does not fit");
    ts_buf_free(&text);
    return TS_STATUS_INVALID_ARGUMENT;
}
