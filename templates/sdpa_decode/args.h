/* sdpa_decode: out[s] = softmax(scale * q[s] k^T) v for one query row a sequence, against rows of a cache.
 * Sequence s sees key rows k_begin[s] .. k_begin[s] + k_len[s] - 1, cut to at most lk rows and to the cache's slots; a
 * sequence that sees none gives 0. Query head h uses key head h / group; heads lie side by side in a row: row pitch in
 * elements, head h at column h*head_dim. k_begin and k_len are in device memory, so that a captured graph follows them.
 * counters: zeros before a launch and after it. Launches that may run at the same time need counters of their own. */
struct sdpa_decode_args {
    void *workspace;
    const void *q;          /* [b, hkv*group*head_dim] dtype */
    const void *k;          /* [slots, hkv*head_dim] dtype */
    const void *v;          /* [slots, hkv*head_dim] dtype */
    const int32_t *k_begin; /* [b] */
    const int32_t *k_len;   /* [b] */
    int32_t *counters;      /* [b * hkv] int32 */
    void *out;              /* [b, hkv*group*head_dim] dtype */
    int64_t q_pitch;
    int64_t k_pitch;
    int64_t v_pitch;
    int64_t out_pitch;
    int32_t b;
    int32_t lk;
    int32_t hkv;
    int32_t slots;
    float scale;
};
