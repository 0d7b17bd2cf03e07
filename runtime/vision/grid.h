/* The size of an image or a video as the vision tower sees it. */
#ifndef RUNTIME_VISION_GRID_H
#define RUNTIME_VISION_GRID_H

#include <stdint.h>

/* In patches: t temporal slices of h x w. */
typedef struct rt_grid {
    int32_t t, h, w;
} rt_grid;

#endif
