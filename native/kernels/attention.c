/* Causal attention of one head over one sequence, in blocks of query rows. Vaswani et al. 2017, https://arxiv.org/abs/1706.03762
 * Probabilities are not kept for backward: they are computed again from the log-sum-exp of their row (Dao et al. 2022,
 * https://arxiv.org/abs/2205.14135). Query i stands at position pos[i] (ascending) and sees the keys 0 ... pos[i]. */

#define ATTENTION_BLOCK 12 /* query rows at a time: of what they don't see, little is computed; their scores stay in L1 */

struct attention {
  size_t queries, keys, hs;
  const int32_t *pos;            /* (queries) */
  const float *q, *k, *v;        /* (queries, hs), (keys, hs) twice */
  size_t ldq, ldkv;
  float *o;                      /* (queries, hs), overwritten by forward */
  size_t ldo;
  float *lse;                    /* (queries) with stride lse_stride, overwritten by forward */
  size_t lse_stride;
  const float *dout;             /* (queries, hs), row stride ldo */
  float *dq, *dk, *dv;           /* overwritten by backward; strides ldq and ldkv */
  float *scratch;                /* attention_scratch(keys, hs) floats */
};

static size_t attention_scratch(size_t keys, size_t hs) {
  const size_t wide = round_up(keys, NR_MAX);
  return 2 * hs * wide + 2 * ATTENTION_BLOCK * wide + NR_MAX;
}

/* Panels of X^T: out[p][d][j] = X[p * NR + j][d], so that a query block times it gives scores by key. */
static void pack_heads(float *restrict out, const float *restrict X, size_t ldx, size_t keys, size_t hs) {
  for (size_t first = 0; first < keys; first += NR, out += hs * NR)
    pack_transposed(out, X + first * ldx, ldx, keys - first < NR ? keys - first : NR, hs, TO_CACHE);
}

/* scores (m, visible) = q . k^T for the block that starts at query i; only the panels that some row of the block sees. */
static void attention_scores(const struct attention *a, float *scores, size_t wide, const float *q, size_t ldq,
                             const float *packed, size_t i, size_t m) {
  const size_t visible = (size_t)a->pos[i + m - 1] + 1;
  gemm(&(struct gemm){.M = m, .N = visible, .K = a->hs, .A = q + i * ldq, .a_row = ldq, .a_col = 1,
                                 .B = packed, .b_panel = a->hs * NR, .b_row = NR, .C = scores, .ldc = wide});
}

/* One row of scores -> probabilities over its keys 0 ... last, 0 behind them up to `visible`. Returns the log-sum-exp. */
static float attention_softmax(float *row, size_t last, size_t visible, float scale) {
  float top = row[0];
  for (size_t j = 1; j <= last; j++) top = row[j] > top ? row[j] : top;
  vf sums = {0};
  for (size_t j = 0; j < visible; j += VW) {
    const vf e = (vf)((vi)vexp((vload(row + j) - top) * scale) & vmask_below(j, last + 1));
    vstore(row + j, e);
    sums += e;
  }
  const float sum = vsum(sums);
  const float inverse = 1.0f / sum;
  for (size_t j = 0; j < visible; j += VW) vstore(row + j, vload(row + j) * inverse);
  return top * scale + logf(sum);
}

static void attention_forward(const struct attention *a) {
  const size_t wide = round_up(a->keys, NR_MAX);
  const float scale = 1.0f / sqrtf((float)a->hs);
  float *packed_k = a->scratch, *scores = packed_k + a->hs * wide;
  pack_heads(packed_k, a->k, a->ldkv, a->keys, a->hs);
  for (size_t i = 0; i < a->queries; i += ATTENTION_BLOCK) {
    const size_t m = a->queries - i < ATTENTION_BLOCK ? a->queries - i : ATTENTION_BLOCK;
    const size_t visible = (size_t)a->pos[i + m - 1] + 1;
    attention_scores(a, scores, wide, a->q, a->ldq, packed_k, i, m);
    for (size_t r = 0; r < m; r++)
      a->lse[(i + r) * a->lse_stride] = attention_softmax(scores + r * wide, (size_t)a->pos[i + r], visible, scale);
    gemm(&(struct gemm){.M = m, .N = a->hs, .K = visible, .A = scores, .a_row = wide, .a_col = 1,
                                   .B = a->v, .b_panel = NR, .b_row = a->ldkv, .C = a->o + i * a->ldo, .ldc = a->ldo});
  }
}

/* 1. P again from q, k, lse  2. dP = dout . v^T  3. dS = P * (dP - rowsum(dout * o)) * scale  4. dq = dS . k
 * 5. dk += dS^T . q  6. dv += P^T . dout  (the first block overwrites) */
static void attention_backward(const struct attention *a) {
  const size_t wide = round_up(a->keys, NR_MAX);
  const float scale = 1.0f / sqrtf((float)a->hs);
  float *packed_k = a->scratch, *packed_v = packed_k + a->hs * wide;
  float *probs = packed_v + a->hs * wide, *dscores = probs + ATTENTION_BLOCK * wide;
  pack_heads(packed_k, a->k, a->ldkv, a->keys, a->hs);
  pack_heads(packed_v, a->v, a->ldkv, a->keys, a->hs);
  size_t covered = 0; /* keys whose dk and dv hold a value */
  for (size_t i = 0; i < a->queries; i += ATTENTION_BLOCK) {
    const size_t m = a->queries - i < ATTENTION_BLOCK ? a->queries - i : ATTENTION_BLOCK;
    const size_t visible = (size_t)a->pos[i + m - 1] + 1;
    attention_scores(a, probs, wide, a->q, a->ldq, packed_k, i, m);
    attention_scores(a, dscores, wide, a->dout, a->ldo, packed_v, i, m);
    for (size_t r = 0; r < m; r++) {
      float *p = probs + r * wide, *ds = dscores + r * wide;
      const float lse = a->lse[(i + r) * a->lse_stride];
      const float dot = dot_product(a->o + (i + r) * a->ldo, a->dout + (i + r) * a->ldo, a->hs);
      const size_t last = (size_t)a->pos[i + r];
      for (size_t j = 0; j < visible; j += VW) {
        const vi seen = vmask_below(j, last + 1);
        const vf e = (vf)((vi)vexp(vload(p + j) * scale - lse) & seen);
        const vf d = (vf)((vi)((vload(ds + j) - dot) * scale) & seen);
        vstore(p + j, e);
        vstore(ds + j, e * d);
      }
    }
    gemm(&(struct gemm){.M = m, .N = a->hs, .K = visible, .A = dscores, .a_row = wide, .a_col = 1,
                                   .B = a->k, .b_panel = NR, .b_row = a->ldkv, .C = a->dq + i * a->ldq, .ldc = a->ldq});
    for (int which = 0; which < 2; which++) {
      struct gemm g = {.M = covered, .N = a->hs, .K = m, .A = which ? probs : dscores, .a_row = 1, .a_col = wide,
                       .B = which ? a->dout + i * a->ldo : a->q + i * a->ldq, .b_panel = NR,
                       .b_row = which ? a->ldo : a->ldq, .C = which ? a->dv : a->dk, .ldc = a->ldkv};
      g.epilogue = EPI_ADD;
      gemm(&g);
      g.A += covered;
      g.C += covered * a->ldkv;
      g.M = visible - covered;
      g.epilogue = EPI_STORE;
      gemm(&g);
    }
    covered = visible;
  }
  for (size_t j = covered; j < a->keys; j++) {
    memset(a->dk + j * a->ldkv, 0, a->hs * sizeof(float));
    memset(a->dv + j * a->ldkv, 0, a->hs * sizeof(float));
  }
}
