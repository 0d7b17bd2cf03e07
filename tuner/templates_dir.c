/* The built-in template folder, found from /proc/self/exe. `targets` is what every template folder
 * of a whole tree has, so its presence tells one from an unrelated folder of the same name. */
#include "templates_dir.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Installed; build/; build/asan/ and other builds beside it. */
static const char *const places[] = {"../share/tunesmith/templates", "../templates",
                                     "../../templates"};

static bool is_template_dir(const char *dir) {
    ts_buf path = {0};
    ts_buf_printf(&path, "%s/targets", dir);
    bool found = !path.failed && access(path.data, R_OK | X_OK) == 0;
    ts_buf_free(&path);
    return found;
}

/* The folder that holds the running program, without a slash at its end; "" where /proc is not. */
static void program_dir(char dir[PATH_MAX]) {
    ssize_t bytes = readlink("/proc/self/exe", dir, PATH_MAX - 1);
    dir[bytes > 0 ? bytes : 0] = '\0';
    char *slash = strrchr(dir, '/');
    if (slash) *slash = '\0';
}

ts_status tuner_templates_dir(const char **out, ts_err *err) {
    static char found[PATH_MAX];
    char program[PATH_MAX];
    program_dir(program);
    for (size_t i = 0; i < sizeof places / sizeof *places && !*found; i++) {
        ts_buf path = {0};
        ts_buf_printf(&path, "%s/%s", program, places[i]);
        if (path.failed || !is_template_dir(path.data) || !realpath(path.data, found))
            *found = '\0';
        ts_buf_free(&path);
    }
    if (!*found)
        return ts_fail(err, TS_STATUS_NOT_FOUND,
                       "no templates in %s/%s nor in %s/%s; use --templates-root DIR", program,
                       places[0], program, places[1]);
    *out = found;
    return TS_STATUS_OK;
}

bool tuner_templates_built_in(const char *dir) {
    const char *root;
    if (tuner_templates_dir(&root, NULL) != TS_STATUS_OK) return false;
    size_t bytes = strlen(root);
    return strncmp(dir, root, bytes) == 0 && dir[bytes] == '/';
}
