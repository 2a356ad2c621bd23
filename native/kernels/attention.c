/* Causal attention of one head over one sequence, in blocks of query rows. Vaswani et al. 2017, https://arxiv.org/abs/1706.03762
 * Probabilities are not kept for backward: they are computed again from the log-sum-exp of their row (Dao et al. 2022,
 * https://arxiv.org/abs/2205.14135). Query i stands at position pos[i] (ascending) and sees the keys 0 ... pos[i]. */

#define ATTENTION_BLOCK 12 /* query rows at a time: of what they don't see, little is computed; their scores stay in L1 */
#define ATTENTION_ROWS 48  /* rows whose probabilities backward keeps, to sum over them at once; a multiple of the block */

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
  return 2 * hs * wide + 2 * ATTENTION_ROWS * wide + NR_MAX;
}

/* Panels of X^T: out[p][d][j] = X[p * NR + j][d], so that a query block times it gives scores by key. */
static void pack_heads(float *restrict out, const float *restrict X, size_t ldx, size_t keys, size_t hs) {
  for (size_t first = 0; first < keys; first += NR, out += hs * NR)
    pack_transposed(out, X + first * ldx, ldx, keys - first < NR ? keys - first : NR, hs, TO_CACHE);
}

/* scores = q . k^T for m rows and nv vectors of keys of one panel, both constants. */
INLINE void score_tile(float *scores, size_t wide, const float *q, size_t ldq, const float *panel, size_t hs, const int m,
                       const int nv) {
  vf acc[MR][NV];
  UNROLL for (int r = 0; r < m; r++) {
    UNROLL for (int v = 0; v < nv; v++) acc[r][v] = (vf){0};
  }
  for (size_t k = 0; k < hs; k++) gemm_step(acc, q + k, ldq, panel + k * NR, m, nv);
  UNROLL for (int r = 0; r < m; r++) {
    UNROLL for (int v = 0; v < nv; v++) vstore(scores + (size_t)r * wide + v * VW, acc[r][v]);
  }
}

/* scores (m, visible, and on to a whole vector) = q . k^T for the block that starts at query i: no key that no row of it sees. */
static void attention_scores(const struct attention *a, float *scores, size_t wide, const float *q, size_t ldq,
                             const float *packed, size_t i, size_t m) {
  const size_t visible = (size_t)a->pos[i + m - 1] + 1;
  for (size_t j = 0; j < visible; j += NR) {
    const size_t vectors = visible - j < NR ? (visible - j + VW - 1) / VW : NV;
    for (size_t r = 0; r < m; r += MR) {
#define TILE_OF(m, nv) score_tile(scores + r * wide + j, wide, q + (i + r) * ldq, ldq, packed + j * a->hs, a->hs, m, nv)
#define TILE(m)                                                                                              \
  switch (vectors) {                                                                                         \
    case 1: TILE_OF(m, 1); break;                                                                            \
    case 2: TILE_OF(m, 2); break;                                                                            \
    case 3: TILE_OF(m, NV < 3 ? NV : 3); break;                                                              \
    default: TILE_OF(m, NV);                                                                                 \
  }
      if (m - r >= MR) TILE(MR)
      else GEMM_REST(m - r, TILE)
#undef TILE
#undef TILE_OF
    }
  }
}

/* One row of scores -> probabilities over its keys 0 ... last, 0 behind them up to `visible`. Returns the log-sum-exp. */
static float attention_softmax(float *row, size_t last, size_t visible, float scale) {
  vf tops = vset1(row[0]), sums = {0};
  for (size_t j = 0; j < visible; j += VW) {
    const vi seen = vmask_below(j, last + 1);
    tops = vmax(tops, (vf)(((vi)vload(row + j) & seen) | ((vi)vset1(row[0]) & ~seen)));
  }
  const float top = vmaximum(tops);
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

/* dk or dv of the keys first ... end - 1 = weights^T . x over `rows` query rows. The keys go by in strips: no row that sees none
 * of a strip is read for it. weights (rows, keys): 0 where a row doesn't see a key. */
static void attention_key_grads(const struct attention *a, float *out, const float *weights, size_t wide, const float *x,
                                size_t ldx, const int32_t *pos, size_t rows, size_t first, size_t end, enum epilogue e) {
  size_t row = 0;
  for (size_t j = first; j < end; j += ATTENTION_BLOCK) {
    while (row < rows && (size_t)pos[row] < j) row++;
    gemm(&(struct gemm){.M = end - j < ATTENTION_BLOCK ? end - j : ATTENTION_BLOCK, .N = a->hs, .K = rows - row,
                        .A = weights + row * wide + j, .a_row = 1, .a_col = wide, .B = x + row * ldx, .b_panel = NR,
                        .b_row = ldx, .C = out + j * a->ldkv, .ldc = a->ldkv, .epilogue = e});
  }
}

/* One row of backward: scores and dout . v^T -> P and dS, 0 beyond the key `last`, up to `wide`. */
static void attention_row_grads(float *p, float *ds, size_t last, size_t visible, size_t wide, float scale, float lse,
                                float dot) {
  size_t j = 0;
  for (; j < visible; j += VW) {
    const vi seen = vmask_below(j, last + 1);
    const vf e = (vf)((vi)vexp(vload(p + j) * scale - lse) & seen);
    const vf d = (vf)((vi)((vload(ds + j) - dot) * scale) & seen);
    vstore(p + j, e);
    vstore(ds + j, e * d);
  }
  for (; j < wide; j += VW) {
    vstore(p + j, (vf){0});
    vstore(ds + j, (vf){0});
  }
}

/* 1. P again from q, k, lse  2. dP = dout . v^T  3. dS = P * (dP - rowsum(dout * o)) * scale  4. dq = dS . k
 * and for ATTENTION_ROWS at a time  5. dk += dS^T . q  6. dv += P^T . dout  (the first ones overwrite) */
static void attention_backward(const struct attention *a) {
  const size_t wide = round_up(a->keys, NR_MAX);
  const float scale = 1.0f / sqrtf((float)a->hs);
  float *packed_k = a->scratch, *packed_v = packed_k + a->hs * wide;
  float *probs = packed_v + a->hs * wide, *dscores = probs + ATTENTION_ROWS * wide;
  pack_heads(packed_k, a->k, a->ldkv, a->keys, a->hs);
  pack_heads(packed_v, a->v, a->ldkv, a->keys, a->hs);
  size_t covered = 0; /* keys whose dk and dv hold a value */
  for (size_t top = 0; top < a->queries; top += ATTENTION_ROWS) {
    const size_t rows = a->queries - top < ATTENTION_ROWS ? a->queries - top : ATTENTION_ROWS;
    const size_t end = (size_t)a->pos[top + rows - 1] + 1;
    for (size_t i = top; i < top + rows; i += ATTENTION_BLOCK) {
      const size_t m = top + rows - i < ATTENTION_BLOCK ? top + rows - i : ATTENTION_BLOCK;
      const size_t visible = (size_t)a->pos[i + m - 1] + 1;
      float *p = probs + (i - top) * wide, *ds = dscores + (i - top) * wide;
      attention_scores(a, p, wide, a->q, a->ldq, packed_k, i, m);
      attention_scores(a, ds, wide, a->dout, a->ldo, packed_v, i, m);
      for (size_t r = 0; r < m; r++) {
        const float dot = dot_product(a->o + (i + r) * a->ldo, a->dout + (i + r) * a->ldo, a->hs);
        attention_row_grads(p + r * wide, ds + r * wide, (size_t)a->pos[i + r], visible, round_up(end, VW), scale,
                            a->lse[(i + r) * a->lse_stride], dot);
      }
      gemm(&(struct gemm){.M = m, .N = a->hs, .K = visible, .A = ds, .a_row = wide, .a_col = 1, .B = a->k,
                          .b_panel = NR, .b_row = a->ldkv, .C = a->dq + i * a->ldq, .ldc = a->ldq});
    }
    const int32_t *pos = a->pos + top;
    const float *q = a->q + top * a->ldq, *dout = a->dout + top * a->ldo;
    attention_key_grads(a, a->dk, dscores, wide, q, a->ldq, pos, rows, 0, covered, EPI_ADD);
    attention_key_grads(a, a->dv, probs, wide, dout, a->ldo, pos, rows, 0, covered, EPI_ADD);
    attention_key_grads(a, a->dk, dscores, wide, q, a->ldq, pos, rows, covered, end, EPI_STORE);
    attention_key_grads(a, a->dv, probs, wide, dout, a->ldo, pos, rows, covered, end, EPI_STORE);
    covered = end;
  }
  for (size_t j = covered; j < a->keys; j++) {
    memset(a->dk + j * a->ldkv, 0, a->hs * sizeof(float));
    memset(a->dv + j * a->ldkv, 0, a->hs * sizeof(float));
  }
}
