/* selective_scan: Mamba's recurrence over l for each of d channels with n states (spec/mamba.md, section 5).
 *   dt = delta + dt_bias; if softplus: dt = softplus(dt)
 *   h[n] = exp(dt * A[c,n]) * h[n] + dt * u * B[n];  y = sum_n C[n] * h[n] + D[c] * u;  if gate: y *= silu(z)
 * All arithmetic in fp32. Rows of a batch follow each other: row b*l + t. B and C hold g groups of n columns,
 * channel c uses group c / (d/g). Pitches are in elements. h_last may be h0. */
struct selective_scan_args {
    void *workspace;
    const void *u;        /* [b*l, d] dtype */
    const void *delta;    /* [b*l, d] dtype */
    const void *z;        /* [b*l, d] dtype; gate=1 only */
    const void *B;        /* [b*l, g*n] dtype */
    const void *C;        /* [b*l, g*n] dtype */
    const float *A;       /* [d, n], negative */
    const float *D;       /* [d], NULL for none */
    const float *dt_bias; /* [d], NULL for none */
    const float *h0;      /* [b*d, n], NULL for zeros */
    float *h_last;        /* [b*d, n], NULL if not wanted */
    void *out;            /* [b*l, d] dtype */
    int64_t u_pitch;
    int64_t delta_pitch;
    int64_t z_pitch;
    int64_t B_pitch;
    int64_t C_pitch;
    int64_t out_pitch;
    int32_t b;
    int32_t l;
    int32_t d;
};
