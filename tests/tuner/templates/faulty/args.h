/* faulty: y = 2 x.   x [m, k], y [m, k]; pitches in elements. */
struct faulty_args {
    void *workspace; /* 64 bytes, not used by a right kernel */
    const float *x;
    float *y;
    int64_t x_pitch;
    int64_t y_pitch;
    int32_t m;
    int32_t k;
};
