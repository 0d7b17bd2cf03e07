/* embedding: out[i] = table[ids[i]].   ids [t], table [v, d], out [t, d]
 * An id outside 0..v-1 gives a row of zeros (callers check ids before). Pitches are in elements. */
struct embedding_args {
    void *workspace;
    const int32_t *ids; /* [t] */
    const void *table;  /* [v, d] dtype */
    void *out;          /* [t, d] fp32 */
    int64_t table_pitch;
    int64_t out_pitch;
    int32_t t;
    int32_t v;
    int32_t d;
};
