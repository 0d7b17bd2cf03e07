/* A safetensors file; or, where the input starts like JSON, the index of a sharded directory whose
 * one shard is always the same good file. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "runtime/model/dtype.h"
#include "runtime/model/embeds.h"
#include "runtime/model/safetensors.h"

#define SHARD_HEADER \
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[8,10]}}"

static void write_shard(void) {
    const size_t length = sizeof SHARD_HEADER - 1;
    char file[8 + sizeof SHARD_HEADER + 10] = {(char)length};
    memcpy(file + 8, SHARD_HEADER, length);
    fuzz_file("index/shard.safetensors", file, 8 + length + 10);
}

/* What safetensors.h promises of an opened set. */
static void check_set(const rt_tensors *set) {
    for (size_t i = 0; i < rt_tensors_count(set); i++) {
        const rt_tensor *tensor = rt_tensors_at(set, i);
        ts_dtype dtype;
        fuzz_touch(tensor->data, tensor->bytes);
        fuzz_require(rt_tensors_find(set, tensor->name) == tensor, "a tensor is found by its name");
        if (!rt_tensor_dtype(tensor, &dtype)) continue;
        fuzz_require(tensor->bytes == tensor->count * rt_dtype_bytes(dtype),
                     "a tensor is as long as its shape says");
        float values[64];
        rt_to_fp32(dtype, tensor->data, tensor->count < 64 ? tensor->count : 64, values);
        fuzz_touch(values, tensor->count < 64 ? tensor->count * sizeof *values : sizeof values);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rt_tensors *set = NULL;
    ts_err err = {0};
    ts_status status;
    if (size > 0 && data[0] == '{') {
        write_shard();
        fuzz_file("index/model.safetensors.index.json", data, size);
        status = rt_tensors_open_dir(fuzz_path("index"), &set, &err);
    } else {
        const char *path = fuzz_file("single/model.safetensors", data, size);
        float *vectors = NULL;
        size_t rows = 0;
        status = rt_embeds_read_vectors(path, 4, &vectors, &rows, &err);
        fuzz_check_error(status, &err);
        if (status == TS_STATUS_OK) fuzz_touch(vectors, rows * 4 * sizeof *vectors);
        free(vectors);
        status = rt_tensors_open(path, &set, &err);
    }
    fuzz_check_error(status, &err);
    if (status == TS_STATUS_OK) check_set(set);
    rt_tensors_close(set);
    return 0;
}
