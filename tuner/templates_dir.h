/* Where the families that came with this program are. */
#ifndef TUNER_TEMPLATES_DIR_H
#define TUNER_TEMPLATES_DIR_H

#include "../db/base.h"

/* The built-in template folder, found from the program's own place: ../share/tunesmith/templates of
 * an installed program, else ../templates of one in build/. So a tree may be moved, and nothing is
 * compiled in. *out is static text. NOT_FOUND names both places. Main thread only. */
ts_status tuner_templates_dir(const char **out, ts_err *err);

/* Whether `dir` is a folder below the built-in one. */
bool tuner_templates_built_in(const char *dir);

#endif
