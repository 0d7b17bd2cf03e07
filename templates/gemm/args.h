/* gemm: out = act(x * w^T + bias) + residual.   x [m, k], w [n, k], out [m, n]
 * act=swiglu: out and residual [m, n/2], out[i][j] = silu(s[i][2j]) * s[i][2j+1] + residual[i][j], s = x * w^T + bias.
 * Pitches are in elements. residual may be out itself. bias and residual may be NULL. */
struct gemm_args {
    void *workspace;
    const void *x;        /* [m, k] dtype */
    const void *w;        /* [n, k] dtype, as PyTorch's Linear stores it */
    const float *bias;    /* [n] */
    const void *residual; /* [m, n] out dtype */
    void *out;            /* [m, n] out dtype */
    int64_t x_pitch;
    int64_t w_pitch;
    int64_t residual_pitch;
    int64_t out_pitch;
    int32_t m;
    int32_t n;
    int32_t k;
};
