/* selective_scan: Mamba's recurrence over l for each of d channels with n states (spec/mamba.md, section 5).
 *   dt = delta + dt_bias; if softplus: dt = softplus(dt)
 *   h[n] = exp(dt * A[c,n]) * h[n] + dt * u * B[n];  y = sum_n C[n] * h[n] + D[c] * u;  if gate: y *= silu(z)
 * All arithmetic in fp32. B and C hold g groups of n states, channel c uses group c / (d/g). Pitches are in elements.
 * h_last may be h0.
 * layout=channel_last: step t of sequence i is row i*l + t, channels and states are columns.
 * layout=channel_first: channel c of sequence i is row i*d + c of u, delta, z and out, state j of group k is row
 * (i*g + k)*n + j of B and C, steps are columns.
 * varlen=1 (channel_last only): sequence i has rows cu_l[i]..cu_l[i+1], and l is an upper bound of the lengths. */
struct selective_scan_args {
    void *workspace;
    const void *u;        /* [b*l, d] or [b*d, l] dtype */
    const void *delta;    /* [b*l, d] or [b*d, l] dtype */
    const void *z;        /* [b*l, d] or [b*d, l] dtype; gate=1 only */
    const void *B;        /* [b*l, g*n] or [b*g*n, l] dtype */
    const void *C;        /* [b*l, g*n] or [b*g*n, l] dtype */
    const float *A;       /* [d, n], negative */
    const float *D;       /* [d], NULL for none */
    const float *dt_bias; /* [d], NULL for none */
    const float *h0;      /* [b*d, n], NULL for zeros */
    const int32_t *cu_l;  /* [b+1]; varlen=1 only */
    float *h_last;        /* [b*d, n], NULL if not wanted */
    void *out;            /* [b*l, d] or [b*d, l] dtype */
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
