/* 64-bit offsets without 11 GB: a directory with the tensors of mamba-2.8b in shards of up to 6 GB,
 * written as holes but for a mark in the first and last element of each tensor, read back through
 * the real loader. Skipped where the file system has no holes.
 */
#include <fcntl.h>

#include "mamba.h"
#include "runtime/device.h"
#include "runtime/model/weights.h"

enum { LAYERS = 64, PER_LAYER = 10, TENSORS = LAYERS * PER_LAYER + 2, MOST_SHARDS = 8 };

static const uint64_t SHARD_BYTES = 6000000000, FOUR_GIB = (uint64_t)1 << 32;
static const size_t LAYOUT_BYTES = 11073382400; /* published size of the model in fp32 */

typedef struct planned {
    char name[64], shape[32];
    uint64_t offset, bytes; /* in the data of its shard */
    int shard;
} planned;

typedef struct layout {
    planned tensors[TENSORS];
    uint64_t shard_bytes[MOST_SHARDS];
    int count, shards;
} layout;

static void plan(layout *l, const char *name, int64_t rows, int64_t columns) {
    planned *t = &l->tensors[l->count++];
    snprintf(t->name, sizeof t->name, "%s", name);
    snprintf(t->shape, sizeof t->shape, columns ? "%lld,%lld" : "%lld", (long long)rows,
             (long long)columns);
    t->bytes = (uint64_t)rows * (uint64_t)(columns ? columns : 1) * 4;
    if (l->shard_bytes[l->shards - 1] + t->bytes > SHARD_BYTES) l->shards++;
    t->shard = l->shards - 1;
    t->offset = l->shard_bytes[t->shard];
    l->shard_bytes[t->shard] += t->bytes;
}

static void plan_model(layout *l) {
    enum { V = 50280, D = 2560, E = 5120, N = 16, R = 160 };
    static const struct {
        const char *name;
        int64_t rows, columns;
    } layer[PER_LAYER] = {
        {"norm.weight", D, 0},
        {"mixer.in_proj.weight", 2 * E, D},
        {"mixer.conv1d.weight", E, 4},
        {"mixer.conv1d.bias", E, 0},
        {"mixer.x_proj.weight", R + 2 * N, E},
        {"mixer.dt_proj.weight", E, R},
        {"mixer.dt_proj.bias", E, 0},
        {"mixer.A_log", E, N},
        {"mixer.D", E, 0},
        {"mixer.out_proj.weight", D, E},
    };
    *l = (layout){.shards = 1};
    plan(l, "backbone.embeddings.weight", V, D);
    for (int i = 0; i < LAYERS; i++) {
        for (int k = 0; k < PER_LAYER; k++) {
            char name[64];
            snprintf(name, sizeof name, "backbone.layers.%d.%s", i, layer[k].name);
            plan(l, name, layer[k].rows, layer[k].columns);
        }
    }
    plan(l, "backbone.norm_f.weight", D, 0);
}

/* Marks that name the tensor and its end. */
static float first_mark(int i) { return (float)(2 * i + 1); }
static float last_mark(int i) { return (float)(2 * i + 2); }

static const char *shard_name(const layout *l, int shard) {
    static char name[64];
    snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", shard + 1, l->shards);
    return name;
}

static bool put(int file, const void *data, size_t bytes, uint64_t at) {
    return pwrite(file, data, bytes, (off_t)at) == (ssize_t)bytes;
}

static void shard_header(const layout *l, int shard, ts_buf *out) {
    ts_buf_printf(out, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int i = 0; i < l->count; i++) {
        const planned *t = &l->tensors[i];
        if (t->shard != shard) continue;
        ts_buf_printf(
            out, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}", t->name,
            t->shape, (unsigned long long)t->offset, (unsigned long long)(t->offset + t->bytes));
    }
    ts_buf_printf(out, "}");
}

/* False: the file system cannot hold such a file without its bytes. */
static bool write_shard(const char *folder, const layout *l, int shard) {
    ts_buf header = {0};
    struct stat info = {0};
    shard_header(l, shard, &header);
    assert_false(header.failed);
    uint64_t length = header.bytes, data = 8 + length;
    int file = open(scratch_path(folder, shard_name(l, shard)), O_CREAT | O_RDWR | O_TRUNC, 0600);
    assert_true(file >= 0);
    bool good = ftruncate(file, (off_t)(data + l->shard_bytes[shard])) == 0 &&
                fstat(file, &info) == 0 && info.st_blocks < 1 << 16 && put(file, &length, 8, 0) &&
                put(file, header.data, header.bytes, 8);
    for (int i = 0; i < l->count && good; i++) {
        const planned *t = &l->tensors[i];
        float first = first_mark(i), last = last_mark(i);
        if (t->shard == shard)
            good = put(file, &first, 4, data + t->offset) &&
                   put(file, &last, 4, data + t->offset + t->bytes - 4);
    }
    ts_buf_free(&header);
    assert_int_equal(close(file), 0);
    return good;
}

static void write_index(const char *folder, const layout *l) {
    ts_buf text = {0};
    ts_buf_printf(&text, "{\"metadata\":{\"total_size\":%zu},\"weight_map\":{", LAYOUT_BYTES);
    for (int i = 0; i < l->count; i++)
        ts_buf_printf(&text, "%s\"%s\":\"%s\"", i ? "," : "", l->tensors[i].name,
                      shard_name(l, l->tensors[i].shard));
    ts_buf_printf(&text, "}}");
    assert_false(text.failed);
    scratch_text(folder, "model.safetensors.index.json", text.data);
    ts_buf_free(&text);
}

static void check_marks(const layout *l, const rt_tensors *set) {
    int beyond = 0;
    size_t total = 0;
    assert_int_equal(rt_tensors_count(set), TENSORS);
    for (int i = 0; i < l->count; i++) {
        const rt_tensor *t = tensor_of(set, l->tensors[i].name);
        float first, last;
        assert_true(t->bytes == l->tensors[i].bytes);
        memcpy(&first, t->data, 4);
        memcpy(&last, (const char *)t->data + t->bytes - 4, 4);
        if (first != first_mark(i) || last != last_mark(i))
            fail_msg("%s: marks %g %g", t->name, (double)first, (double)last);
        total += t->bytes;
        beyond += l->tensors[i].offset > FOUR_GIB;
    }
    assert_true(total == LAYOUT_BYTES);
    assert_true(l->shards > 1 && beyond > 50);
}

/* The way on to a device, for a tensor that lies wholly beyond 4 GiB. */
static void check_upload(const layout *l, const rt_tensors *set) {
    enum { D = 2560 };
    static const rt_dim dims[] = {{"d", D}, {"E", 2 * D}, {NULL, 0}};
    static const rt_weight table[] = {
        {"mixer.out_proj.weight", NULL, "d E", RT_MATRIX, NULL, 0, RT_INIT_UNIFORM, .fan = NULL}};
    int at = 0;
    while (l->tensors[at].offset < FOUR_GIB || !strstr(l->tensors[at].name, "out_proj")) at++;
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%.*s",
             (int)(strstr(l->tensors[at].name, "mixer") - l->tensors[at].name),
             l->tensors[at].name);
    ts_device *cpu = NULL;
    OK(ts_device_open("cpu", 1, &cpu, err));
    size_t count = (size_t)D * 2 * D;
    float *place = malloc(count * sizeof *place);
    assert_non_null(place);
    bool used[TENSORS] = {false};
    rt_upload upload = {
        .device = cpu, .tensors = set, .used = used, .dtype = TS_DTYPE_FP32, .dims = dims};
    OK(rt_weights_load(table, 1, prefix, &place, &upload, err));
    assert_true(place[0] == first_mark(at) && place[count - 1] == last_mark(at));
    assert_true(place[1] == 0 && place[count / 2] == 0);
    free(place);
    ts_device_close(cpu);
}

static void sharded_beyond_4_gib(void **state) {
    (void)state;
    static layout l;
    plan_model(&l);
    assert_int_equal(l.count, TENSORS);
    const char *folder = scratch_make();
    bool holes = true;
    for (int s = 0; s < l.shards && holes; s++) holes = write_shard(folder, &l, s);
    rt_tensors *set = NULL;
    ts_err reason = {0};
    ts_status status = TS_STATUS_OK;
    if (holes) {
        write_index(folder, &l);
        status = rt_tensors_open_dir(folder, &set, &reason);
        unlink(scratch_path(folder, "model.safetensors.index.json"));
    }
    for (int s = 0; s < l.shards; s++) unlink(scratch_path(folder, shard_name(&l, s)));
    assert_int_equal(rmdir(folder), 0);
    if (!holes) {
        print_message("/tmp takes no sparse files of this size\n");
        skip();
    }
    if (status != TS_STATUS_OK) fail_msg("%s", reason.message);
    check_marks(&l, set); /* the mappings outlive the names */
    check_upload(&l, set);
    rt_tensors_close(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sharded_beyond_4_gib)};
    return cmocka_run_group_tests_name("large", tests, NULL, NULL);
}
