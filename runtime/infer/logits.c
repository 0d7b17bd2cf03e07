/* The file that --logits writes, built in memory so that logits land in their place and the file
 * appears whole or not at all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer.h"

bool infer_logits_make(size_t rows, size_t columns, infer_logits *out) {
    char header[160];
    size_t data_bytes = rows * columns * sizeof(float);
    int length = snprintf(
        header, sizeof header,
        "{\"logits\":{\"dtype\":\"F32\",\"shape\":[%zu,%zu],\"data_offsets\":[0,%zu]}}", rows,
        columns, data_bytes);
    /* The header may be padded with spaces; eight bytes of length before it keep the data
     * aligned. */
    size_t padded = ((size_t)length + 7) / 8 * 8;
    unsigned char *file = malloc(8 + padded + data_bytes);
    if (!file) return false;
    for (size_t i = 0; i < 8; i++) file[i] = (unsigned char)(padded >> 8 * i);
    memset(file + 8, ' ', padded);
    memcpy(file + 8, header, (size_t)length);
    *out = (infer_logits){file, 8 + padded + data_bytes, (float *)(void *)(file + 8 + padded)};
    return true;
}
