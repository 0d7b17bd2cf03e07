/* Tensor maps: what launch data may say of them, the numbers that the driver is given, the zeros
 * where there can be none, and what a launch hands to the kernel.
 */
#include "fake_device.h"

#include "runtime/kernel.h"
#include "runtime/launch_data.h"

/* Arguments of the fake's kernel `mapped`, in the size that it writes down. */
struct mapped_args {
    void *workspace;
    const void *x, *w;
    int64_t x_pitch, w_pitch;
    int32_t m, k;
    unsigned char rest[16];
};

#define HEAD(FORMAT, KIND, BYTES)                                                                      \
    "{\"format\":" FORMAT ",\"kind\":\"" KIND "\",\"args_bytes\":" BYTES ",\"args\":["                 \
    "{\"name\":\"workspace\",\"type\":\"ptr\",\"offset\":0},"                                          \
    "{\"name\":\"x\",\"type\":\"ptr\",\"offset\":8},{\"name\":\"w\",\"type\":\"ptr\",\"offset\":16},"  \
    "{\"name\":\"x_pitch\",\"type\":\"i64\",\"offset\":24},"                                           \
    "{\"name\":\"w_pitch\",\"type\":\"i64\",\"offset\":32},"                                           \
    "{\"name\":\"m\",\"type\":\"i32\",\"offset\":40},{\"name\":\"k\",\"type\":\"i32\",\"offset\":44}," \
    "{\"name\":\"last\",\"type\":\"i64\",\"offset\":60},"                                              \
    "{\"name\":\"end\",\"type\":\"ptr\",\"offset\":-8}],"                                              \
    "\"tensors\":[],\"extents\":[\"m\",\"k\"],\"workspace\":\"4\",\"zero\":[[\"0\",\"4\"]],"
#define LAUNCH(MAPS)                                                    \
    "\"launches\":[{\"entry\":\"mapped\",\"grid\":[\"m\",\"1\",\"1\"]," \
    "\"block\":[\"128\",\"1\",\"1\"],\"shared\":\"0\",\"scratch\":\"0\",\"maps\":" MAPS "}]}"
#define MAP(TENSOR, BYTES, COLUMNS, ROWS, PART, BOX)                                           \
    "{" TENSOR ",\"bytes\":" BYTES ",\"columns\":" COLUMNS ",\"rows\":" ROWS ",\"part\":" PART \
    ",\"box\":" BOX "}"
#define OF_X "\"tensor\":\"x\",\"pitch\":\"x_pitch\""
#define X MAP(OF_X, "2", "\"k 80 *\"", "\"m\"", "80", "[64,128]")
#define W MAP("\"tensor\":\"w\",\"pitch\":\"w_pitch\"", "4", "\"k\"", "\"m 3 *\"", "16", "[8,256]")
#define GOOD(MAPS) HEAD("2", "cuda", "64") LAUNCH(MAPS)

static void reads_maps(void **state) {
    (void)state;
    static rt_launch_data data;
    OK(rt_launch_data_parse(GOOD("[" X "," W "]"), &data, NULL));
    const rt_step *step = &data.steps[0];
    assert_int_equal(step->map_count, 2);
    const rt_map *x = &step->maps[0], *w = &step->maps[1];
    assert_int_equal(x->tensor, offsetof(struct mapped_args, x));
    assert_int_equal(x->pitch, offsetof(struct mapped_args, x_pitch));
    assert_memory_equal(&x->box, (&(rt_box){2, 80, 64, 128}), sizeof(rt_box));
    assert_int_equal(w->tensor, offsetof(struct mapped_args, w));
    assert_int_equal(w->pitch, offsetof(struct mapped_args, w_pitch));
    assert_memory_equal(&w->box, (&(rt_box){4, 16, 8, 256}), sizeof(rt_box));
    const rt_values values = {.extents = {5, 7}, .sm_count = 1};
    int64_t columns, rows;
    OK(rt_formula_eval(&data, x->columns, &values, INT64_MAX, "", &columns, NULL));
    OK(rt_formula_eval(&data, w->rows, &values, INT64_MAX, "", &rows, NULL));
    assert_int_equal(columns, 560);
    assert_int_equal(rows, 15);
}

static void refuses_wrong_maps(void **state) {
    (void)state;
    static const struct {
        const char *launch, *part;
    } bad[] = {
        {HEAD("1", "cuda", "64") LAUNCH("[" X "]"), "in their own format"},
        {HEAD("2", "cpu", "64") LAUNCH("[" X "]"), "for CUDA kernels"},
        {HEAD("3", "cuda", "64") LAUNCH("[" X "]"), "format 3, this library knows 1 and 2"},
        {GOOD("[]"), "no maps, or too many"},
        {GOOD("{}"), "no maps, or too many"},
        {GOOD("[" X "," X "," X "," X "," X "]"), "no maps, or too many"},
        {HEAD("2", "cuda", "3968") LAUNCH("[" X "," X "]"), "too many bytes"},
        {GOOD("[7]"), "tensor of a map"},
        {GOOD("[" X "," MAP("\"tensor\":\"y\",\"pitch\":\"x_pitch\"", "2", "\"k\"", "\"m\"", "16",
                            "[16,16]") "]"),
         "tensor of a map"},
        {GOOD("[" MAP("\"tensor\":\"m\",\"pitch\":\"x_pitch\"", "2", "\"k\"", "\"m\"", "16",
                      "[16,16]") "]"),
         "tensor of a map"},
        {GOOD("[" MAP("\"tensor\":\"end\",\"pitch\":\"x_pitch\"", "2", "\"k\"", "\"m\"", "16",
                      "[16,16]") "]"),
         "tensor of a map"},
        {GOOD("[" MAP("\"tensor\":\"x\"", "2", "\"k\"", "\"m\"", "16", "[16,16]") "]"),
         "pitch of a map"},
        {GOOD("[" MAP("\"tensor\":\"x\",\"pitch\":\"m\"", "2", "\"k\"", "\"m\"", "16",
                      "[16,16]") "]"),
         "pitch of a map"},
        {GOOD("[" MAP("\"tensor\":\"x\",\"pitch\":\"last\"", "2", "\"k\"", "\"m\"", "16",
                      "[16,16]") "]"),
         "pitch of a map"},
        {GOOD("[" MAP(OF_X, "3", "\"k\"", "\"m\"", "16", "[16,16]") "]"), "bytes of a map"},
        {GOOD("[" MAP(OF_X, "8", "\"k\"", "\"m\"", "16", "[16,16]") "]"), "bytes of a map"},
        {GOOD("[" MAP(OF_X, "\"2\"", "\"k\"", "\"m\"", "16", "[16,16]") "]"), "bytes of a map"},
        {GOOD("[" MAP(OF_X, "2", "\"k\"", "\"m\"", "0", "[16,16]") "]"), "part of a map"},
        {GOOD("[" MAP(OF_X, "2", "\"k\"", "\"m\"", "-8", "[16,16]") "]"), "part of a map"},
        {GOOD("[" MAP(OF_X, "2", "\"k\"", "\"m\"", "12", "[16,16]") "]"), "part of a map"},
        {GOOD("[" MAP(OF_X, "2", "\"k\"", "\"m\"", "4294967296", "[16,16]") "]"), "part of a map"},
        {GOOD("[" MAP(OF_X, "2", "\"k\"", "\"m\"", "16", "[8,16]") "]"), "box of a map"},
        {GOOD("[" MAP(OF_X, "4", "\"k\"", "\"m\"", "16", "[64,16]") "]"), "box of a map"},
        {GOOD("[" MAP(OF_X, "2", "\"k\"", "\"m\"", "16", "[16,0]") "]"), "box of a map"},
        {GOOD("[" MAP(OF_X, "2", "\"k\"", "\"m\"", "16", "[16,257]") "]"), "box of a map"},
        {GOOD("[" MAP(OF_X, "2", "\"k\"", "\"m\"", "16", "[16,16,1]") "]"), "box of a map"},
        {GOOD("[" MAP(OF_X, "2", "\"k\"", "\"m\"", "16", "16") "]"), "box of a map"},
        {GOOD("[" MAP(OF_X, "2", "\"n\"", "\"m\"", "16", "[16,16]") "]"), "formula"},
        {GOOD("[" MAP(OF_X, "2", "16", "\"m\"", "16", "[16,16]") "]"), "columns of a map"},
        {GOOD("[" MAP(OF_X, "2", "\"k\"", "16", "16", "[16,16]") "]"), "rows of a map"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        static rt_launch_data data;
        ts_err err = {0};
        if (rt_launch_data_parse(bad[i].launch, &data, &err) != TS_STATUS_CORRUPT ||
            !strstr(err.message, bad[i].part))
            fail_msg("case %zu: not '%s' but '%s'", i, bad[i].part, err.message);
    }
}

static void launches_with_maps(void **state) {
    (void)state;
    ts_kernel *kernel = NULL;
    void *workspace = NULL;
    ts_err err;
    OK(rt_kernel_create(device, good_cubin, sizeof good_cubin, GOOD("[" X "," W "]"), &kernel,
                        NULL));
    OK(ops->alloc(device, 4, &workspace, NULL));
    struct mapped_args args = {.workspace = workspace,
                               .x = (void *)0x10000,
                               .w = (void *)0x20010,
                               .x_pitch = 104,
                               .w_pitch = 36,
                               .m = 5,
                               .k = 32};
    int launches = fake->launch.count, maps = fake->map.count;
    OK(ts_kernel_launch(kernel, NULL, &args, sizeof args, NULL));
    assert_int_equal(fake->launch.count, launches + 1);
    assert_int_equal(fake->map.count, maps + 2);
    assert_memory_equal(fake->launch.args, &args, sizeof args);
    /* The kernel's parameters, in the order of the launch data. */
    assert_int_equal(fake->launch.maps[0].opaque[0], 0x10000);
    assert_int_equal(fake->launch.maps[0].opaque[15], 5);
    assert_int_equal(fake->launch.maps[1].opaque[0], 0x20010);
    assert_int_equal(fake->launch.maps[1].opaque[15], 15);
    /* The last one that the driver was asked for, whole. */
    assert_int_equal(fake->map.type, CU_TENSOR_MAP_DATA_TYPE_UINT32);
    assert_int_equal(fake->map.interleave, CU_TENSOR_MAP_INTERLEAVE_NONE);
    assert_int_equal(fake->map.swizzle, CU_TENSOR_MAP_SWIZZLE_32B);
    assert_int_equal(fake->map.promotion, CU_TENSOR_MAP_L2_PROMOTION_L2_128B);
    assert_int_equal(fake->map.fill, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    assert_ptr_equal(fake->map.memory, args.w);
    assert_memory_equal(fake->map.dimensions, ((uint64_t[]){16, 15, 2}),
                        sizeof fake->map.dimensions);
    assert_memory_equal(fake->map.strides, ((uint64_t[]){144, 64}), sizeof fake->map.strides);
    assert_memory_equal(fake->map.box, ((uint32_t[]){8, 256, 1}), sizeof fake->map.box);
    assert_memory_equal(fake->map.element_strides, ((uint32_t[]){1, 1, 1}),
                        sizeof fake->map.element_strides);

    /* A matrix that does not fall into parts is refused before anything is started. */
    unsigned char cleared = 0;
    OK(ops->fill(device, NULL, workspace, 0x55, 4, NULL));
    args.k = 31;
    assert_int_equal(ts_kernel_launch(kernel, NULL, &args, sizeof args, &err),
                     TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "31 are no multiple of 16"));
    assert_int_equal(fake->launch.count, launches + 1);
    OK(ops->download(device, NULL, &cleared, workspace, 1, NULL));
    assert_int_equal(cleared, 0x55);
    args.k = 32;
    args.m = INT32_MAX; /* 3 m rows are more than a dimension has */
    assert_int_equal(ts_kernel_launch(kernel, NULL, &args, sizeof args, &err),
                     TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "rows of a map"));
    ops->free(device, workspace);
    rt_kernel_destroy(kernel);
}

/* Without parts the row is one, whatever its length; its second stride is none. No columns: no map. */
static void launches_with_whole_rows(void **state) {
    (void)state;
#define ROW "{" OF_X ",\"bytes\":2,\"columns\":\"k\",\"rows\":\"m\",\"box\":[64,128]}"
    ts_kernel *kernel = NULL;
    void *workspace = NULL;
    OK(rt_kernel_create(device, good_cubin, sizeof good_cubin, GOOD("[" ROW "," ROW "]"), &kernel,
                        NULL));
    OK(ops->alloc(device, 4, &workspace, NULL));
    struct mapped_args args = {
        .workspace = workspace, .x = (void *)0x10000, .x_pitch = 64, .m = 5, .k = 53};
    OK(ts_kernel_launch(kernel, NULL, &args, sizeof args, NULL));
    assert_memory_equal(fake->map.dimensions, ((uint64_t[]){53, 5, 1}),
                        sizeof fake->map.dimensions);
    assert_memory_equal(fake->map.strides, ((uint64_t[]){128, 128}), sizeof fake->map.strides);
    assert_memory_equal(fake->map.box, ((uint32_t[]){64, 128, 1}), sizeof fake->map.box);
    int maps = fake->map.count;
    args.k = 0;
    OK(ts_kernel_launch(kernel, NULL, &args, sizeof args, NULL));
    assert_int_equal(fake->map.count, maps);
    ops->free(device, workspace);
    rt_kernel_destroy(kernel);
}

/* What a kernel must not use is zeros, and no error: it finds that out by itself. */
static void zeros_where_no_map_can_be(void **state) {
    (void)state;
    static const rt_boxed good = {
        .data = (void *)0x1000, .pitch = 64, .rows = 3, .parts = 2, .box = {2, 32, 32, 16}};
    struct {
        rt_boxed matrix;
        bool exists;
    } cases[] = {{good, true},  {good, false}, {good, false}, {good, false}, {good, false},
                 {good, false}, {good, false}, {good, true},  {good, true},  {good, false}};
    cases[1].matrix.data = NULL;
    cases[2].matrix.data = (void *)0x1008;
    cases[3].matrix.pitch = 68;
    cases[4].matrix.pitch = INT64_C(1) << 39; /* 2^40 bytes */
    cases[5].matrix.rows = 0;
    cases[6].matrix.parts = 0;
    cases[7].matrix.pitch = (INT64_C(1) << 39) - 8;
    cases[8].matrix.pitch = 0;
    cases[9].matrix.pitch = -64;
    static const rt_tensor_map none;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rt_tensor_map map;
        int before = fake->map.count;
        memset(&map, 0xff, sizeof map);
        OK(ops->tensor_map(device, &cases[i].matrix, &map, NULL));
        assert_int_equal(fake->map.count - before, cases[i].exists);
        assert_int_equal(memcmp(&map, &none, sizeof map) != 0, cases[i].exists);
    }
    assert_int_equal(fake->map.type, CU_TENSOR_MAP_DATA_TYPE_UINT16);
    assert_int_equal(fake->map.swizzle, CU_TENSOR_MAP_SWIZZLE_64B);
    rt_boxed widest = good;
    rt_tensor_map map;
    widest.box.columns = 64;
    OK(ops->tensor_map(device, &widest, &map, NULL));
    assert_int_equal(fake->map.swizzle, CU_TENSOR_MAP_SWIZZLE_128B);
}

static void says_what_the_driver_refuses(void **state) {
    (void)state;
    rt_boxed matrix = {
        .data = (void *)0x1000, .pitch = 64, .rows = 3, .parts = 2, .box = {2, 32, 64, 300}};
    const rt_cuda_driver *driver = NULL;
    rt_tensor_map map;
    ts_err err;
    assert_int_equal(ops->tensor_map(device, &matrix, &map, &err), TS_STATUS_DEVICE);
    assert_non_null(strstr(err.message, "cuTensorMapEncodeTiled failed on 2 parts of 3 rows x 32 "
                                        "columns of 2 bytes, pitch 128 bytes, boxes of 300 rows x "
                                        "64: invalid argument"));
    OK(rt_cuda_driver_get(&driver, NULL));
    rt_cuda_driver old = *driver;
    old.cuTensorMapEncodeTiled = NULL;
    matrix.data = NULL; /* an error even where the map would be zeros: not by chance of the data */
    assert_int_equal(rt_tensor_map_encode(&old, &matrix, &map, &err), TS_STATUS_UNSUPPORTED);
    assert_non_null(strstr(err.message, "CUDA 12.0"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_device, close_device)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_maps),    cmocka_unit_test(refuses_wrong_maps),
        TEST(launches_with_maps),        TEST(launches_with_whole_rows),
        TEST(zeros_where_no_map_can_be), TEST(says_what_the_driver_refuses),
    };
    return cmocka_run_group_tests(tests, load_fake, NULL);
}
