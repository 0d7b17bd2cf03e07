/* The frames of a folder. Which files are pictures is told by their names, because a folder may
 * hold notes beside its frames; whether a file is what its name says is the decoder's question.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "frames.h"

static bool is_picture(const char *name) {
    static const char *const endings[] = {".png", ".jpg", ".jpeg", ".webp"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && dot != name && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0) return true;
    return false;
}

static bool is_digit(char c) { return isdigit((unsigned char)c); }

/* Compares the numbers that begin at *a and *b, of any length, and moves behind them. */
static int compare_numbers(const char **a, const char **b) {
    while (**a == '0') (*a)++;
    while (**b == '0') (*b)++;
    size_t x = strspn(*a, "0123456789"), y = strspn(*b, "0123456789");
    int order = x != y ? (x < y ? -1 : 1) : memcmp(*a, *b, x);
    *a += x, *b += y;
    return order;
}

/* Natural order: runs of digits by value, all else by bytes. */
static int compare_names(const char *first, const char *second) {
    const char *a = first, *b = second;
    while (*a && *b) {
        if (is_digit(*a) && is_digit(*b)) {
            int order = compare_numbers(&a, &b);
            if (order != 0) return order;
        } else if (*a != *b) {
            break;
        } else {
            a++, b++;
        }
    }
    if (*a != *b) return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
    return strcmp(first, second); /* 01 and 1: some order, always the same */
}

static int by_name(const void *a, const void *b) {
    return compare_names(*(char *const *)a, *(char *const *)b);
}

/* Whole paths, so that sorting them sorts the names: all begin alike. */
static ts_status read_folder(const char *dir, ts_buf *paths, ts_err *err) {
    DIR *folder = opendir(dir);
    if (!folder)
        return ts_fail(err, errno == ENOENT ? TS_STATUS_NOT_FOUND : TS_STATUS_IO, "%s: %s", dir,
                       strerror(errno));
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.' || !is_picture(entry->d_name)) continue;
        ts_buf path = {0};
        ts_buf_printf(&path, "%s/%s", dir, entry->d_name);
        if (!path.failed) ts_buf_append(paths, &path.data, sizeof path.data);
        if (path.failed || paths->failed) {
            ts_buf_free(&path);
            paths->failed = true;
            break;
        }
    }
    closedir(folder);
    return paths->failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "the files of %s", dir)
                         : TS_STATUS_OK;
}

/* Keeps `most` of the sorted paths, first and last among them. */
static ts_status thin_out(char **paths, size_t *count, int32_t most, ts_err *err) {
    int64_t *kept = NULL;
    size_t n = 0, at = 0;
    rt_frames_options options = rt_frames_defaults();
    options.count = most;
    if (most % 2) options.count--; /* an odd limit is a limit, too */
    TS_TRY(rt_frames_sample(&options, (int64_t)*count, 0, &kept, &n, err));
    for (size_t i = 0; i < *count; i++) {
        if (at < n && kept[at] == (int64_t)i)
            paths[at++] = paths[i];
        else
            free(paths[i]);
    }
    *count = n;
    free(kept);
    return TS_STATUS_OK;
}

ts_status rt_frames_list(const char *dir, int32_t at_most, char ***paths, size_t *count,
                         ts_err *err) {
    ts_buf found = {0};
    ts_status status = read_folder(dir, &found, err);
    char **list = (char **)(void *)found.data;
    size_t n = found.bytes / sizeof *list;
    if (status == TS_STATUS_OK && n == 0)
        status = ts_fail(err, TS_STATUS_NOT_FOUND,
                         "%s: no frame in it (files named .png, .jpg, .jpeg or .webp)", dir);
    if (status == TS_STATUS_OK) qsort(list, n, sizeof *list, by_name);
    if (status == TS_STATUS_OK && at_most != 0 && (at_most < 0 || n > (size_t)at_most))
        status = thin_out(list, &n, at_most, err);
    if (status != TS_STATUS_OK) {
        rt_frames_free(list, n);
        return status;
    }
    *paths = list;
    *count = n;
    return TS_STATUS_OK;
}

void rt_frames_free(char **paths, size_t count) {
    for (size_t i = 0; i < count; i++) free(paths[i]);
    free(paths);
}
