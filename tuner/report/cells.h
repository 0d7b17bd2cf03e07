/* Text as a terminal lays it out: wide letters take two columns, marks none. */
#ifndef TUNER_REPORT_CELLS_H
#define TUNER_REPORT_CELLS_H

#include "../../db/base.h"

/* Appends as much of `text` as fits into `columns`, an ellipsis where it is cut, "?" for control
 * characters and bytes that are no UTF-8: a name must not be able to steer the terminal. Returns the
 * columns taken. */
int tuner_cells_fit(const char *text, int columns, ts_buf *out);

#endif
