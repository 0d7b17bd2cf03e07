/* Names to numbers, for the tables of a model. Lists are short and read at load time only. */
#include "dims.h"

#include <stdlib.h>
#include <string.h>

static const rt_dim *find(const rt_dim *dims, const char *name, size_t length) {
    for (; dims->name; dims++) {
        if (strlen(dims->name) == length && memcmp(dims->name, name, length) == 0) return dims;
    }
    return NULL;
}

int64_t rt_dims_value(const rt_dim *dims, const char *name) {
    const rt_dim *dim = find(dims, name, strlen(name));
    return dim ? dim->value : 0;
}

int rt_dims_shape(const rt_dim *dims, const char *text, int64_t *out, int capacity) {
    int count = 0;
    while (*text) {
        size_t length = strcspn(text, " ");
        const rt_dim *dim = find(dims, text, length);
        bool is_number = strspn(text, "0123456789") == length;
        if (count == capacity || (!dim && !is_number)) return -1;
        out[count++] = dim ? dim->value : strtoll(text, NULL, 10);
        text += length;
        text += strspn(text, " ");
    }
    return count;
}

bool rt_dims_expand(const rt_dim *dims, const char *text, const char *dtype, int32_t m,
                    ts_buf *out) {
    for (;;) {
        size_t plain = strcspn(text, "{");
        ts_buf_append(out, text, plain);
        text += plain;
        if (*text == '\0') return true;
        size_t length = strcspn(++text, "}");
        const rt_dim *dim = find(dims, text, length);
        if (length == 5 && memcmp(text, "dtype", 5) == 0) {
            ts_buf_printf(out, "%s", dtype);
        } else if (length == 1 && *text == 'm') {
            ts_buf_printf(out, "%d", m);
        } else if (dim) {
            ts_buf_printf(out, "%lld", (long long)dim->value);
        } else {
            return false;
        }
        text += length + (text[length] == '}');
    }
}
