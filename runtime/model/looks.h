/* The media of a prompt, sorted for the parts that ask about them. */
#ifndef RUNTIME_MODEL_LOOKS_H
#define RUNTIME_MODEL_LOOKS_H

#include "arch.h"

typedef struct rt_looks {
    rt_media media; /* grids of images and of videos, each in their order */
    rt_seen *seen;  /* all, in the order of the prompt */
    rt_grid *grids; /* behind `media` */
} rt_looks;

/* INVALID_ARGUMENT: a medium without rows. Free with rt_looks_free in any case. */
ts_status rt_looks_make(const ts_medium *media, size_t count, rt_looks *out, ts_err *err);
void rt_looks_free(rt_looks *looks);

#endif
