/* norm: optional x += delta, then RMS or layer norm of each row.   x [m, d], out [m, d]
 * rms:   out = x / sqrt(mean(x^2) + eps) * weight          (bias NULL)
 * layer: out = (x - mean) / sqrt(var + eps) * weight + bias
 * Pitches are in elements. */
struct norm_args {
    void *workspace;
    void *x;             /* [m, d] fp32 residual stream; written only when add=1 */
    const void *delta;   /* [m, d] dtype; add=1 only */
    const float *weight; /* [d] */
    const float *bias;   /* [d], NULL for none */
    void *out;           /* [m, d] dtype */
    int64_t x_pitch;
    int64_t delta_pitch;
    int64_t out_pitch;
    int32_t m;
    int32_t d;
    float eps;
};
