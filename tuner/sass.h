/* What a CUDA kernel was compiled to, counted without a disassembler. */
#ifndef TUNER_SASS_H
#define TUNER_SASS_H

#include "../db/base.h"

typedef enum tuner_opcode {
    TUNER_MUFU,
    TUNER_FFMA,
    TUNER_FMUL,
    TUNER_FADD,
    TUNER_FMNMX,
    TUNER_LDG,
    TUNER_STG,
    TUNER_LDS,
    TUNER_STS,
    TUNER_LDL,
    TUNER_STL,
    TUNER_HMMA,
    TUNER_SHFL,
    TUNER_BAR,
    TUNER_OPCODES
} tuner_opcode;

typedef struct tuner_sass {
    int64_t instructions; /* of all entries of the cubin, as they stand in the code; 0: no cubin */
    int64_t counts[TUNER_OPCODES];
} tuner_sass;

extern const char *const tuner_opcode_names[TUNER_OPCODES]; /* "ffma" */

/* Counts the instructions of a cubin for compute capability 7.5 or newer. What is no such file, or damaged,
 * leaves all counts 0: these are hints, and the driver is who judges a cubin. */
void tuner_sass_count(const void *blob, size_t bytes, tuner_sass *out);
/* `"sass":{"instructions":120,"ffma":64,...}`, only what occurs; nothing where there are no
 * instructions. */
void tuner_sass_write(const tuner_sass *sass, ts_buf *out);

#endif
