/* argmax: index of the largest value of each row; the lowest index wins ties, NaN never wins unless the
 * whole row is NaN (then 0).   x [m, v], out [m] */
struct argmax_args {
    void *workspace;
    const float *x; /* [m, v] */
    int32_t *out;   /* [m] */
    int64_t x_pitch;
    int32_t m;
    int32_t v;
};
