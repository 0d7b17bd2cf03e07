/* selective_scan_step: one step of selective_scan for b sequences, the state updated in place.
 * Same formula, one row a sequence. With conv taps u is what goes into a causal convolution of that width, whose
 * result, after SiLU, is the step's u; conv_state holds the inputs before, oldest first, and moves on in place.
 * Pitches are in elements. */
struct selective_scan_step_args {
    void *workspace;
    const void *u;            /* [b, d] dtype */
    const void *delta;        /* [b, d] dtype */
    const void *z;            /* [b, d] dtype; gate=1 only */
    const void *B;            /* [b, g*n] dtype */
    const void *C;            /* [b, g*n] dtype */
    const float *A;           /* [d, n], negative */
    const float *D;           /* [d], NULL for none */
    const float *dt_bias;     /* [d], NULL for none */
    const float *conv_weight; /* [d, conv]; conv > 0 only, as the next two */
    const float *conv_bias;   /* [d], NULL for none */
    void *conv_state;         /* [b*(conv-1), d] dtype */
    float *h;                 /* [b*d, n] */
    void *out;                /* [b, d] dtype */
    int64_t u_pitch;
    int64_t delta_pitch;
    int64_t z_pitch;
    int64_t B_pitch;
    int64_t C_pitch;
    int64_t out_pitch;
    int32_t b;
    int32_t d;
};
