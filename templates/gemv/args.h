/* gemv: out = act(w * x + bias) + residual for one vector.   x [k], w [n, k], out [n]
 * act=swiglu: out and residual [n/2], out[j] = silu(s[2j]) * s[2j+1] + residual[j], s = w * x + bias.
 * w_pitch is in elements. residual may be out itself. bias and residual may be NULL. */
struct gemv_args {
    void *workspace;
    const void *x;        /* [k] dtype */
    const void *w;        /* [n, k] dtype */
    const float *bias;    /* [n] */
    const void *residual; /* [n] out dtype */
    void *out;            /* [n] out dtype */
    int64_t w_pitch;
    int32_t n;
    int32_t k;
};
