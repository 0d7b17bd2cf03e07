/* rotary: rotary position embedding of q and k, and the write of k and v into a cache.
 * Pairs are elements i and i + head_dim/2 of a head; frequency i of row r turns them by the angle whose cosine and
 * sine are cos_sin[positions[axis][r]][i], axis = 0 for i < s0, 1 for i < s1, else 2. Plain rotary: s0 = head_dim/2.
 * cache=1: the rotated k and the plain v of row r go to row slot[r] of k_out and v_out. Rows whose slot lies outside
 * 0..slots-1 write neither. cache=0: slots is 0, k_out has a row for each row of k, v is not touched.
 * Heads lie side by side in a row, so views of a fused qkv row work. Pitches are in elements. q_out may be q;
 * with cache=0, k_out may be k. Positions outside the table count as its nearest row (callers check before). */
struct rotary_args {
    void *workspace;
    const void *q;            /* [m, hq*head_dim] dtype */
    const void *k;            /* [m, hkv*head_dim] dtype */
    const void *v;            /* [m, hkv*head_dim] dtype; cache=1 only */
    const float *cos_sin;     /* [p, head_dim/2, 2] cosine, sine; dense */
    const int32_t *positions; /* [3, m] */
    const int32_t *slot;      /* [m], all different; cache=1 only */
    void *q_out;              /* [m, hq*head_dim] dtype */
    void *k_out;              /* [slots or m, hkv*head_dim] dtype */
    void *v_out;              /* [slots, hkv*head_dim] dtype; cache=1 only */
    int64_t q_pitch;
    int64_t k_pitch;
    int64_t v_pitch;
    int64_t positions_pitch;
    int64_t q_out_pitch;
    int64_t k_out_pitch;
    int64_t v_out_pitch;
    int32_t m;
    int32_t hq;
    int32_t hkv;
    int32_t slots;
    int32_t p;
    int32_t s0;
    int32_t s1;
};
