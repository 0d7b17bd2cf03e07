/* Safetensors files, built in memory. */
#include <stdlib.h>
#include <string.h>

#include "../../db/base.h"
#include "infer.h"

bool infer_tensors_make(infer_tensor *tensors, size_t count, unsigned char **file, size_t *bytes) {
    ts_buf header = {0};
    size_t data_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        infer_tensor *t = &tensors[i];
        size_t end = data_bytes + t->rows * t->columns * 4;
        ts_buf_printf(&header,
                      "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[%zu,%zu],\"data_offsets\":[%zu,%zu]}",
                      i == 0 ? '{' : ',', t->name, t->dtype, t->rows, t->columns, data_bytes, end);
        data_bytes = end;
    }
    ts_buf_append(&header, "}", 1);
    /* The header may be padded with spaces; eight bytes of length before it keep the data
     * aligned. */
    while (!header.failed && header.bytes % 8 != 0) ts_buf_append(&header, " ", 1);
    *bytes = 8 + header.bytes + data_bytes;
    *file = header.failed ? NULL : malloc(*bytes);
    if (*file) {
        unsigned char *next = *file + 8 + header.bytes;
        for (size_t i = 0; i < 8; i++) (*file)[i] = (unsigned char)(header.bytes >> 8 * i);
        memcpy(*file + 8, header.data, header.bytes);
        for (size_t i = 0; i < count; next += tensors[i].rows * tensors[i].columns * 4, i++)
            tensors[i].values = next;
    }
    ts_buf_free(&header);
    return *file != NULL;
}
