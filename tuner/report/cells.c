#include "cells.h"

#include <string.h>
#include <utf8proc.h>

/* One letter: its bytes and columns; what may not be printed has `*shown` false. */
static int letter(const char *at, size_t bytes, int *columns, bool *shown) {
    utf8proc_int32_t code = 0;
    utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)at, (utf8proc_ssize_t)bytes,
                                             &code);
    *shown = used > 0 && utf8proc_category(code) != UTF8PROC_CATEGORY_CC &&
             utf8proc_category(code) != UTF8PROC_CATEGORY_CF;
    *columns = *shown ? utf8proc_charwidth(code) : 1;
    return used > 0 ? (int)used : 1;
}

static int width(const char *text) {
    int total = 0, columns;
    bool shown;
    for (size_t left = strlen(text); left > 0;) {
        int used = letter(text, left, &columns, &shown);
        total += columns, text += used, left -= (size_t)used;
    }
    return total;
}

int tuner_cells_fit(const char *text, int columns, ts_buf *out) {
    int taken = 0, needs;
    bool shown, cut = width(text) > columns;
    if (columns <= 0) return 0;
    for (size_t left = strlen(text); left > 0;) {
        int used = letter(text, left, &needs, &shown);
        if (taken + needs > columns - cut) break;
        ts_buf_append(out, shown ? text : "?", shown ? (size_t)used : 1);
        taken += needs, text += used, left -= (size_t)used;
    }
    if (cut) ts_buf_printf(out, "…"), taken++;
    return taken;
}
