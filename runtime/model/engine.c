/* The engine: a device, a database opened for it, and a log. Everything else hangs on it. */
#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ts_free(void *memory) { free(memory); }

ts_engine_options ts_engine_defaults(void) {
    return (ts_engine_options){.size = sizeof(ts_engine_options), .device = "auto"};
}

void rt_options_copy(void *to, const void *from, size_t known) {
    size_t size;
    if (!from) return;
    memcpy(&size, from, sizeof size);
    memcpy(to, from, size < known ? size : known);
}

void rt_engine_watch(ts_engine *engine, rt_profile *profile) { engine->profile = profile; }

void rt_engine_log(ts_engine *engine, const char *format, ...) {
    if (!engine->log) return;
    va_list args;
    char text[1024];
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    engine->log(engine->log_context, text);
}

void rt_engine_report(ts_engine *engine) {
    const char *warning;
    pthread_mutex_lock(&engine->lock);
    while ((warning = ts_kernels_warning(engine->kernels, engine->reported)) != NULL) {
        rt_engine_log(engine, "%s", warning);
        engine->reported++;
    }
    pthread_mutex_unlock(&engine->lock);
}

ts_status ts_engine_open(const ts_engine_options *options, ts_engine **out, ts_err *err) {
    ts_engine_options o = ts_engine_defaults();
    rt_options_copy(&o, options, sizeof o);
    ts_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "engine");
    pthread_mutex_init(&engine->lock, NULL);
    engine->log = o.log;
    engine->log_context = o.log_context;
    ts_status status = ts_device_open(o.device ? o.device : "auto", o.threads, &engine->device,
                                      err);
    if (status == TS_STATUS_OK)
        status = ts_kernels_open(engine->device, o.database, &engine->kernels, err);
    if (status != TS_STATUS_OK) {
        ts_engine_close(engine);
        return status;
    }
    rt_engine_report(engine);
    *out = engine;
    return TS_STATUS_OK;
}

void ts_engine_close(ts_engine *engine) {
    if (!engine) return;
    ts_kernels_close(engine->kernels);
    ts_device_close(engine->device);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

ts_device *ts_engine_device(const ts_engine *engine) { return engine->device; }

ts_kernels *ts_engine_kernels(const ts_engine *engine) { return engine->kernels; }
