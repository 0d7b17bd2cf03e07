/* stepped: y = 2 x.   x [1, n], y [1, n]. */
struct stepped_args {
    void *workspace; /* not used */
    const float *x;
    float *y;
    int32_t n;
};
