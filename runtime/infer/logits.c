/* The file that --logits writes. */
#include "infer.h"

bool infer_logits_make(size_t rows, size_t columns, infer_logits *out) {
    infer_tensor logits = {"logits", "F32", rows, columns, NULL};
    if (!infer_tensors_make(&logits, 1, &out->file, &out->bytes)) return false;
    out->values = logits.values;
    return true;
}
