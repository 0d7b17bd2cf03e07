/* Launch data: how one kernel is started, as the database stores it (templates/README.md), parsed
 * once into checked postfix formulas that are evaluated at each launch.
 */
#ifndef RUNTIME_LAUNCH_DATA_H
#define RUNTIME_LAUNCH_DATA_H

#include "../db/base.h"
#include "tensor_map.h"

enum {
    RT_MAX_EXTENTS = 24,
    RT_MAX_STEPS = 8,  /* launches of one kernel */
    RT_MAX_ZEROS = 8,  /* workspace ranges cleared before them */
    RT_MAX_OPS = 512,  /* numbers, names and operators of all formulas of one kernel */
    RT_MAX_DEPTH = 12, /* of an evaluation's stack */
};

typedef struct rt_op {
    int64_t value; /* a number, or the index of an extent */
    uint8_t code;  /* opcode of formula.c */
} rt_op;

/* A formula: `count` ops of rt_launch_data.ops. Every operand is known and the stack never under-
 * or overflows (checked when parsed). */
typedef struct rt_formula {
    uint16_t first, count;
} rt_formula;

/* A tensor map as one more parameter of a launch. */
typedef struct rt_map {
    size_t tensor, pitch; /* offsets in the args struct: of the pointer, of the int64_t */
    rt_formula columns, rows;
    rt_box box;
} rt_map;

typedef struct rt_step {
    char entry[96];
    rt_formula grid[3], block[3];
    rt_formula memory; /* bytes: GPU dynamic shared memory of a block, CPU scratch */
    rt_map maps[RT_MAX_MAPS];
    size_t map_count;
    bool dependent; /* the kernel itself waits for the one before it in the stream */
} rt_step;

typedef struct rt_extent {
    char name[32];
    size_t offset; /* of the integer member in the args struct */
    bool wide;     /* int64_t; else int32_t */
} rt_extent;

typedef struct rt_launch_data {
    bool is_cpu;
    bool may_map; /* its format is the one that has tensor maps */
    size_t args_bytes;
    rt_extent extents[RT_MAX_EXTENTS];
    size_t extent_count;
    bool has_work;          /* databases of older generators do not say */
    rt_formula flops, bytes; /* what a launch does, by the family's count */
    rt_formula workspace;
    struct {
        rt_formula offset, bytes;
    } zeros[RT_MAX_ZEROS];
    size_t zero_count;
    rt_step steps[RT_MAX_STEPS];
    size_t step_count;
    rt_op ops[RT_MAX_OPS];
    size_t op_count;
} rt_launch_data;

/* Values a launch depends on: extents in rt_launch_data order, then the device's SM count. */
typedef struct rt_values {
    int64_t extents[RT_MAX_EXTENTS];
    int64_t sm_count;
} rt_values;

/* Parses and checks `json`. CORRUPT names the member that is wrong; nothing needs freeing. */
ts_status rt_launch_data_parse(const char *json, rt_launch_data *out, ts_err *err);

/* Reads the extents out of an args struct. INVALID_ARGUMENT: one is negative. */
ts_status rt_launch_data_values(const rt_launch_data *data, const void *args, int64_t sm_count,
                                rt_values *out, ts_err *err);
/* The extent as it stands in `args`, unchecked. */
int64_t rt_extent_value(const rt_extent *extent, const void *args);

/* Parses one postfix formula ("m 128 ceil_div") into data->ops; names are those of data->extents
 * and `sm_count`. CORRUPT: not a formula. */
ts_status rt_formula_parse(rt_launch_data *data, const char *text, rt_formula *out, ts_err *err);
/* INVALID_ARGUMENT: overflow of int64_t, division by zero, or a result below 0 or above `limit`;
 * `what` names the quantity in the message. */
ts_status rt_formula_eval(const rt_launch_data *data, rt_formula formula, const rt_values *values,
                          int64_t limit, const char *what, int64_t *out, ts_err *err);
/* Does the formula depend on nothing? Then *out is its value. */
bool rt_formula_constant(const rt_launch_data *data, rt_formula formula, int64_t *out);

#endif
