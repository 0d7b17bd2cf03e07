/* sdpa: out = softmax(scale * q k^T + mask) v for each head, no mask tensor.
 * q row i of a sequence sees key j when causal=0, or j <= i + (lk - lq) (aligned at the end). A row that
 * sees no key gives 0. Query head h uses key head h / (hq/hkv). Heads lie side by side in a row, so views of
 * a fused qkv row work: row pitch in elements, head h at column h*head_dim.
 * varlen=0: b sequences, rows b*lq + i and b*lk + j.
 * varlen=1: sequence s has query rows cu_q[s]..cu_q[s+1] and key rows cu_k[s]..cu_k[s+1]; lq and lk are
 * upper bounds of the lengths. */
struct sdpa_args {
    void *workspace;
    const void *q;       /* [rows_q, hq*head_dim] dtype */
    const void *k;       /* [rows_k, hkv*head_dim] dtype */
    const void *v;       /* [rows_k, hkv*head_dim] dtype */
    const int32_t *cu_q; /* [b+1]; varlen=1 only */
    const int32_t *cu_k; /* [b+1]; varlen=1 only */
    void *out;           /* [rows_q, hq*head_dim] dtype */
    int64_t q_pitch;
    int64_t k_pitch;
    int64_t v_pitch;
    int64_t out_pitch;
    int32_t b;
    int32_t lq;
    int32_t lk;
    int32_t hq;
    int32_t hkv;
    float scale;
};
