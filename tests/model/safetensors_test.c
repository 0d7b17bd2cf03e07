/* safetensors: a good file, then every way a header can lie, then directories. A hostile file must
 * give CORRUPT and a message that names the file and what is wrong.
 */
#include "files.h"

#include "runtime/model/dtype.h"

static const unsigned char DATA[64] = {1, 2, 3, 4};
static const char *const ONE_FILE[] = {"model.safetensors", NULL};

#define A "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}"
#define B "\"b\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[4,12]}"

static void good_file(void **state) {
    (void)state;
    const char *folder = scratch_make();
    scratch_tensors(folder, "model.safetensors",
                    "{\"__metadata__\":{\"format\":\"pt\"}," B "," A
                    ",\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[12,16]}"
                    ",\"none\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[16,16]}}   ",
                    DATA, 16);
    rt_tensors *set = open_tensors(scratch_path(folder, "model.safetensors"));
    assert_int_equal(rt_tensors_count(set), 4);
    const rt_tensor *a = tensor_of(set, "a"), *b = tensor_of(set, "b");
    assert_memory_equal(a->data, DATA, 4);
    assert_ptr_equal(b->data, (const char *)a->data + 4);
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->count, 4);
    assert_int_equal(b->bytes, 8);
    assert_int_equal(tensor_of(set, "s")->rank, 0);
    assert_int_equal(tensor_of(set, "s")->count, 1);
    assert_int_equal(tensor_of(set, "none")->bytes, 0);
    assert_null(rt_tensors_find(set, "c"));
    ts_dtype dtype;
    assert_true(rt_tensor_dtype(b, &dtype) && dtype == TS_DTYPE_FP16);
    assert_false(rt_tensor_dtype(a, &dtype));
    rt_tensors_close(set);
    scratch_remove(folder, ONE_FILE);
}

static void check_corrupt(uint64_t length, const char *header, size_t data_bytes,
                          const char *message) {
    const char *folder = scratch_make();
    scratch_tensors_raw(folder, "model.safetensors", length, header, DATA, data_bytes);
    rt_tensors *set = NULL;
    ts_err err = {0};
    ts_status status = rt_tensors_open(scratch_path(folder, "model.safetensors"), &set, &err);
    if (status != TS_STATUS_CORRUPT || !strstr(err.message, message) ||
        !strstr(err.message, "model.safetensors")) {
        fail_msg("header %s: status %d, \"%s\"; \"%s\" was expected", header, (int)status,
                 err.message, message);
    }
    assert_null(set);
    scratch_remove(folder, ONE_FILE);
}

static void hostile_headers(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data_bytes;
        const char *message;
    } cases[] = {
        {"[1]", 4, "'{'"},
        {" {}", 0, "'{'"},
        {"{" A, 4, "line 1"},
        {"{" A "} x", 4, "line 1"},
        {"{\"a\xFF\":1}", 4, "line 1"},
        {"{" A "," A "}", 4, "duplicate"},
        {"{\"a\":7}", 4, "tensor a"},
        {"{\"__metadata__\":7," A "}", 4, "__metadata__"},
        {"{\"a\":{\"shape\":[4],\"data_offsets\":[0,4]}}", 4, "dtype"},
        {"{\"a\":{\"dtype\":\"I4\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, "dtype"},
        {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,4]}}", 4, "shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[-4],\"data_offsets\":[0,4]}}", 4, "shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4.0],\"data_offsets\":[0,4]}}", 4, "shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,4],\"data_offsets\":[0,4]}}", 4,
         "shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 4,
         "overflows"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775807,4],\"data_offsets\":[0,4]}}", 4,
         "overflows"},
        /* count * 4 wraps around to 0 */
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0,
         "disagree"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}", 4,
         "line 1"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4]}}", 4, "data_offsets"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0]}}", 4, "data_offsets"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[-4,0]}}", 4, "outside"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,0]}}", 4, "outside"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[1,5]}}", 4, "outside"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,9223372036854775807]}}", 4,
         "outside"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,4]}}", 4, "disagree"},
        {"{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}", 6, "overlaps"},
        {"{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, "overlaps"},
        {"{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[6,8]}}", 8, "hole"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}", 4, "hole"},
        {"{" A "}", 5, "1 bytes after"},
        {"{}", 3, "3 bytes after"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_corrupt(strlen(cases[i].header), cases[i].header, cases[i].data_bytes,
                      cases[i].message);
    }
}

static void hostile_lengths(void **state) {
    (void)state;
    check_corrupt(100000001, "{" A "}", 4, "header of 100000001 bytes");
    check_corrupt(1000, "{" A "}", 4, "cut off");
    check_corrupt(UINT64_MAX, "{" A "}", 4, "cut off");
    check_corrupt(0, "{}", 4, "'{'");
    check_corrupt(0, "", 0, "too short");
}

/* No prefix of a good file is a good file, and none may crash. */
static void truncated_files(void **state) {
    (void)state;
    static const char header[] = "{" A "," B "}";
    unsigned char whole[8 + sizeof header + 12] = {sizeof header - 1};
    memcpy(whole + 8, header, sizeof header - 1);
    size_t bytes = 8 + sizeof header - 1 + 12;
    const char *folder = scratch_make();
    for (size_t cut = 0; cut <= bytes; cut++) {
        rt_tensors *set = NULL;
        ts_err err = {0};
        scratch_write(folder, "model.safetensors", whole, cut);
        ts_status status = rt_tensors_open(scratch_path(folder, "model.safetensors"), &set, &err);
        assert_int_equal(status, cut == bytes ? TS_STATUS_OK : TS_STATUS_CORRUPT);
        rt_tensors_close(set);
    }
    scratch_remove(folder, ONE_FILE);
}

/* ---- directories ---- */

static void check_dir(const char *folder, ts_status expected, const char *message) {
    rt_tensors *set = NULL;
    ts_err err = {0};
    assert_int_equal(rt_tensors_open_dir(folder, &set, &err), expected);
    if (message && !strstr(err.message, message))
        fail_msg("\"%s\" expected in \"%s\"", message, err.message);
    rt_tensors_close(set);
}

static void directories_without_weights(void **state) {
    (void)state;
    static const char *const names[] = {"pytorch_model.bin", NULL};
    const char *folder = scratch_make();
    check_dir(folder, TS_STATUS_NOT_FOUND, "no model.safetensors");
    scratch_text(folder, "pytorch_model.bin", "PK");
    check_dir(folder, TS_STATUS_UNSUPPORTED, "pytorch_model.bin");
    scratch_remove(folder, names);
}

static void sharded_directory(void **state) {
    (void)state;
    static const char *const names[] = {"model.safetensors.index.json", "1.safetensors",
                                        "2.safetensors", NULL};
    static const struct {
        const char *map;
        ts_status status;
        const char *message;
    } cases[] = {
        {"{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}", TS_STATUS_OK, NULL},
        {"{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\"}", TS_STATUS_CORRUPT,
         "tensor b is not in 1.safetensors"},
        {"{\"a\":\"1.safetensors\",\"c\":\"2.safetensors\"}", TS_STATUS_CORRUPT, "tensor c"},
        {"{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\"}", TS_STATUS_CORRUPT, "is not in"},
        {"{\"a\":\"../1.safetensors\"}", TS_STATUS_CORRUPT, "plain file name"},
        {"{\"a\":\"/etc/passwd\"}", TS_STATUS_CORRUPT, "plain file name"},
        {"{\"a\":\"\"}", TS_STATUS_CORRUPT, "plain file name"},
        {"{\"a\":1}", TS_STATUS_CORRUPT, "plain file name"},
        {"{\"a\":\"3.safetensors\"}", TS_STATUS_NOT_FOUND, "3.safetensors"},
        {"[]", TS_STATUS_CORRUPT, "weight_map"},
    };
    const char *folder = scratch_make();
    scratch_tensors(folder, "1.safetensors", "{" A "}", DATA, 4);
    scratch_tensors(folder, "2.safetensors",
                    "{\"b\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]}}", DATA, 8);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char index[256];
        snprintf(index, sizeof index, "{\"metadata\":{\"total_size\":12},\"weight_map\":%s}",
                 cases[i].map);
        scratch_text(folder, "model.safetensors.index.json", index);
        check_dir(folder, cases[i].status, cases[i].message);
    }
    scratch_tensors(folder, "2.safetensors", "{" A "}", DATA, 4);
    scratch_text(folder, "model.safetensors.index.json",
                 "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}");
    check_dir(folder, TS_STATUS_CORRUPT, "tensor a is in both");
    scratch_remove(folder, names);
}

/* ---- number formats ---- */

/* Every half of both formats survives the way to fp32 and back; NaN stays NaN. */
static void halves_round_trip(void **state) {
    (void)state;
    for (ts_dtype dtype = TS_DTYPE_FP16; dtype <= TS_DTYPE_BF16; dtype++) {
        for (uint32_t bits = 0; bits <= 0xFFFF; bits++) {
            uint16_t half = (uint16_t)bits, back;
            float value;
            rt_to_fp32(dtype, &half, 1, &value);
            rt_from_fp32(dtype, &value, 1, &back);
            if (value != value) {
                rt_to_fp32(dtype, &back, 1, &value);
                assert_true(value != value);
            } else if (back != half) {
                fail_msg("%s %04x became %04x", ts_dtype_name(dtype), half, back);
            }
        }
    }
}

static void rounding(void **state) {
    (void)state;
    static const struct {
        ts_dtype dtype;
        float value;
        uint16_t half;
    } cases[] = {
        {TS_DTYPE_FP16, 1.0f, 0x3C00},
        {TS_DTYPE_FP16, -2.0f, 0xC000},
        {TS_DTYPE_FP16, 0x1p-24f, 0x0001},
        {TS_DTYPE_FP16, 0x1p-25f, 0x0000}, /* half a step: to even */
        {TS_DTYPE_FP16, 0x1.8p-24f, 0x0002},
        {TS_DTYPE_FP16, 0x1p-14f, 0x0400},
        {TS_DTYPE_FP16, 1 + 0x1p-11f, 0x3C00},
        {TS_DTYPE_FP16, 1 + 0x1.8p-10f, 0x3C02},
        {TS_DTYPE_FP16, 65504.0f, 0x7BFF},
        {TS_DTYPE_FP16, 65519.0f, 0x7BFF},
        {TS_DTYPE_FP16, 65520.0f, 0x7C00},
        {TS_DTYPE_FP16, -1e30f, 0xFC00},
        {TS_DTYPE_BF16, 1.0f, 0x3F80},
        {TS_DTYPE_BF16, 1 + 0x1p-8f, 0x3F80},
        {TS_DTYPE_BF16, 1 + 0x1.8p-7f, 0x3F82},
        {TS_DTYPE_BF16, 3.4e38f, 0x7F80},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint16_t half;
        rt_from_fp32(cases[i].dtype, &cases[i].value, 1, &half);
        if (half != cases[i].half)
            fail_msg("%a became %04x, not %04x", (double)cases[i].value, half, cases[i].half);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_file),
        cmocka_unit_test(hostile_headers),
        cmocka_unit_test(hostile_lengths),
        cmocka_unit_test(truncated_files),
        cmocka_unit_test(directories_without_weights),
        cmocka_unit_test(sharded_directory),
        cmocka_unit_test(halves_round_trip),
        cmocka_unit_test(rounding),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
