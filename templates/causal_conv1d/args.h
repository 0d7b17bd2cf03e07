/* causal_conv1d: depthwise causal convolution along l, then SiLU if act=silu.
 * out[b,t,c] = act(bias[c] + sum_j weight[c,j] * x[b, t-(width-1)+j, c]); inputs before t=0 come from
 * state_in (row width-2 is the newest), or are 0 when it is NULL. state_out receives the last width-1
 * inputs. Rows of a batch follow each other: row b*l + t. Pitches are in elements.
 * state_out may be state_in only when l = 1. */
struct causal_conv1d_args {
    void *workspace;
    const void *x;        /* [b*l, d] dtype */
    const float *weight;  /* [d, width] */
    const float *bias;    /* [d], NULL for none */
    const void *state_in; /* [b*(width-1), d] dtype, oldest first; NULL for zeros */
    void *state_out;      /* [b*(width-1), d] dtype; NULL if not wanted */
    void *out;            /* [b*l, d] dtype */
    int64_t x_pitch;
    int64_t out_pitch;
    int32_t b;
    int32_t l;
    int32_t d;
};
