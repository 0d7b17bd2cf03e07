/* Opens libav's four libraries and fills the table of functions. The result of the first try is
 * kept, good or bad. */
#include "libav.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#define QUOTE_(x) #x
#define QUOTE(x) QUOTE_(x)

/* In the order of their dependence. */
typedef enum library { UTIL, SCALE, CODEC, FORMAT, LIBRARIES } library;

static const char *const files[LIBRARIES] = {
    [UTIL] = "libavutil.so." QUOTE(LIBAVUTIL_VERSION_MAJOR),
    [SCALE] = "libswscale.so." QUOTE(LIBSWSCALE_VERSION_MAJOR),
    [CODEC] = "libavcodec.so." QUOTE(LIBAVCODEC_VERSION_MAJOR),
    [FORMAT] = "libavformat.so." QUOTE(LIBAVFORMAT_VERSION_MAJOR),
};

static const struct {
    library library;
    const char *name;
    size_t offset; /* of its pointer in the table */
} symbols[] = {
#define SYMBOL(library, symbol) {library, #symbol, offsetof(rt_libav, symbol)},
    RT_LIBAV_FUNCTIONS(SYMBOL)
#undef SYMBOL
};

static rt_libav table;
static ts_err failure; /* status OK: the table is usable */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_libraries(void) {
    void *opened[LIBRARIES];
    for (int i = 0; i < LIBRARIES; i++) {
        opened[i] = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
        if (opened[i]) continue;
        ts_fail(&failure, TS_STATUS_UNSUPPORTED, "video files need %s, which is not installed",
                files[i]);
        return;
    }
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *address = dlsym(opened[symbols[i].library], symbols[i].name);
        if (!address) {
            ts_fail(&failure, TS_STATUS_UNSUPPORTED, "%s lacks %s", files[symbols[i].library],
                    symbols[i].name);
            return;
        }
        memcpy((char *)&table + symbols[i].offset, &address, sizeof address);
    }
}

ts_status rt_libav_get(const rt_libav **out, ts_err *err) {
    pthread_once(&once, open_libraries);
    if (failure.status != TS_STATUS_OK) return ts_fail(err, failure.status, "%s", failure.message);
    *out = &table;
    return TS_STATUS_OK;
}
