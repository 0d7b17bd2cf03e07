/* A device: memory, streams, modules, timing. One table of functions a kind (device_cpu.c,
 * device_cuda.c).
 *
 * Streams are ordered queues; on the CPU a stream is NULL and every call is done when it returns.
 * A ts_device may be shared by threads; a stream belongs to one thread at a time.
 */
#ifndef RUNTIME_DEVICE_H
#define RUNTIME_DEVICE_H

#include "../db/base.h"
#include "tensor_map.h"
#include "tunesmith_kernels.h"

typedef struct rt_module rt_module; /* loaded code: CUmodule or mapped ELF image */
typedef struct rt_graph rt_graph;   /* captured launches (CUDA); NULL on the CPU */
typedef struct rt_event rt_event;

/* One launch with everything evaluated. `function` is a CUfunction or a CPU entry point. */
typedef struct rt_launch {
    void *function;
    uint32_t grid[3], block[3];
    uint32_t shared_bytes; /* GPU: dynamic shared memory */
    size_t scratch_bytes;  /* CPU: private to a running block */
    const void *args;
    size_t args_bytes;
    const rt_tensor_map *maps; /* GPU: parameters behind the struct */
    size_t map_count;
    bool dependent; /* GPU: may start while the kernel before it in the stream ends */
} rt_launch;

typedef struct rt_device_info {
    char name[128];
    char target[32];        /* best target: "sm_90a", "cpu-x86-64-v4" */
    char driver[32];        /* "" on the CPU */
    int driver_version;     /* cuDriverGetVersion; 0 on the CPU */
    int sm_count;           /* CPU: threads of the pool */
    int clock_mhz;          /* highest of an SM; 0 on the CPU */
    int compute_capability; /* 90; 0 on the CPU */
    char bus_id[16];        /* PCI, "0000:3b:00.0"; "" on the CPU */
    int64_t memory_bytes, l2_bytes;
    bool is_cpu;
} rt_device_info;

typedef struct rt_device_ops {
    void (*close)(ts_device *);
    ts_status (*alloc)(ts_device *, size_t bytes, void **out, ts_err *); /* 256-byte aligned */
    void (*free)(ts_device *, void *);
    /* Memory of the host that the device reads by itself (page-locked): what `send` takes. */
    ts_status (*alloc_host)(ts_device *, size_t bytes, void **out, ts_err *);
    void (*free_host)(ts_device *, void *);
    ts_status (*stream_create)(ts_device *, void **out, ts_err *);
    void (*stream_destroy)(ts_device *, void *stream);
    ts_status (*sync)(ts_device *, void *stream, ts_err *);
    /* Copies; to/from host are done when they return unless the stream is capturing. */
    ts_status (*upload)(ts_device *, void *stream, void *dst, const void *src, size_t, ts_err *);
    ts_status (*download)(ts_device *, void *stream, void *dst, const void *src, size_t, ts_err *);
    /* An upload from memory of alloc_host that may still run when this returns: `src` stays as it is
     * until an event recorded behind has passed. */
    ts_status (*send)(ts_device *, void *stream, void *dst, const void *src, size_t, ts_err *);
    ts_status (*copy)(ts_device *, void *stream, void *dst, const void *src, size_t, ts_err *);
    ts_status (*fill)(ts_device *, void *stream, void *dst, uint8_t byte, size_t, ts_err *);
    ts_status (*module_load)(ts_device *, const void *blob, size_t, rt_module **out, ts_err *);
    void (*module_unload)(ts_device *, rt_module *);
    /* `shared_bytes`: the most dynamic shared memory a launch will use (raises the opt-in limit);
     * SIZE_MAX where that is not known: as much as the device has. */
    ts_status (*function)(ts_device *, rt_module *, const char *entry, size_t shared_bytes,
                          void **out, ts_err *);
    /* For a launch on this device; nothing is started. NULL on the CPU, which has no maps. */
    ts_status (*tensor_map)(ts_device *, const rt_boxed *, rt_tensor_map *out, ts_err *);
    ts_status (*launch)(ts_device *, void *stream, const rt_launch *, ts_err *);
    ts_status (*event_create)(ts_device *, rt_event **out, ts_err *);
    void (*event_destroy)(ts_device *, rt_event *);
    /* On a stream that captures it becomes part of the graph: every replay records it anew. */
    ts_status (*event_record)(ts_device *, rt_event *, void *stream, ts_err *);
    ts_status (*event_wait)(ts_device *, rt_event *, ts_err *); /* until it has passed */
    /* Waits for `end`, then the time between the two in microseconds. */
    ts_status (*event_elapsed)(ts_device *, rt_event *begin, rt_event *end, double *us, ts_err *);
    /* Graphs: begin/end capture on a stream made by stream_create. UNSUPPORTED on the CPU. Another
     * stream of the same thread may upload, download and allocate meanwhile. */
    ts_status (*graph_begin)(ts_device *, void *stream, ts_err *);
    ts_status (*graph_end)(ts_device *, void *stream, rt_graph **out, ts_err *);
    ts_status (*graph_launch)(ts_device *, rt_graph *, void *stream, ts_err *);
    void (*graph_destroy)(ts_device *, rt_graph *);
    ts_status (*memory_info)(ts_device *, int64_t *free_bytes, int64_t *total_bytes, ts_err *);
} rt_device_ops;

struct ts_device {
    const rt_device_ops *ops;
    rt_device_info info;
    /* targets whose kernels this device can load, best first, NULL-terminated: sm_90a; or
     * cpu-x86-64-v4, -v3, -v2; sm_89: sm_89, sm_86, sm_80 (same major, not newer; never across an
     * `a`) */
    const char *targets[8];
    /* For verification, read by the CPU's launches: every block finds NaN in its scratch, not what
     * the block before left. */
    bool spoil_scratch;
};

/* Implementations behind ts_device_open. */
ts_status rt_cpu_open(int threads, ts_device **out, ts_err *err);
ts_status rt_cuda_open(int ordinal, ts_device **out, ts_err *err);
/* Number of GPUs the driver reports; 0 without a driver. Makes no context, but initialises the
 * driver: a process forked afterwards cannot use it. */
int rt_cuda_count(void);
/* Ordinal of the GPU with this UUID ("GPU-" and 32 hex digits with or without dashes, or a prefix
 * that is the only one of its kind). NO_DEVICE lists what is there. */
ts_status rt_cuda_find(const char *uuid, int *ordinal, ts_err *err);
/* Ordinal of the first GPU whose own target this is ("sm_86"), else of the one whose list has it
 * earliest. NO_DEVICE says that none loads it. */
ts_status rt_cuda_find_target(const char *target, int *ordinal, ts_err *err);

#endif
