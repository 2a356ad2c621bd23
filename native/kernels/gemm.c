/* gemm.c: every matrix product of the model. C (M, N) = A (M, K) . B (K, N), with an epilogue on the tile while it is in registers.
 * A is read along its rows or along its columns; B in panels of NR columns, packed (panels.c) or as it lies. Both are float32,
 * or pairs along K of bfloat16 numbers (bf16.c): the loops are the same, over words, and `bf16`, always a constant, chooses the
 * sums.
 * Tiling: Goto & van de Geijn 2008, https://doi.org/10.1145/1356052.1356053 */

enum epilogue {
  EPI_STORE,         /* C = acc */
  EPI_ADD,           /* C += acc */
  EPI_BIAS,          /* C = acc + bias */
  EPI_BIAS_RESIDUAL, /* C = R + (acc + bias) */
  EPI_BIAS_SILU,     /* C = silu(acc + bias), R = its derivative */
  EPI_SCALE          /* C = acc * R */
};

struct gemm {
  size_t M, N, K; /* K: words; numbers, where A is yet to be rounded to pairs (in_pairs) */
  /* Word (i, k) at A[i * a_row + k * a_col]; one of the two strides is 1. If a_row is, K <= COLUMNS_K, and MR floats, in whole
   * vectors, may be read from each multiple of MR along M on: activations end in a pad. */
  const float *A;
  size_t a_row, a_col;
  const float *B; /* panel p at B + p * b_panel; its word (k, j) at [k * b_row + j]; NR columns may be read of every panel */
  size_t b_panel, b_row;
  float *C;
  size_t ldc;
  const float *bias; /* (N) */
  float *R;          /* (M, N) like C */
  size_t ldr;
  enum epilogue epilogue;
};

/* The epilogue of one row of a tile. */
INLINE void gemm_finish(const vf *acc, float *c, float *r, const float *bias, const enum epilogue epilogue) {
  UNROLL for (int v = 0; v < NV; v++) {
    vf x = acc[v];
    switch (epilogue) {
      case EPI_STORE: break;
      case EPI_ADD: x += vload(c + v * VW); break;
      case EPI_BIAS: x += vload(bias + v * VW); break;
      case EPI_BIAS_RESIDUAL: x = vload(r + v * VW) + (x + vload(bias + v * VW)); break;
      case EPI_BIAS_SILU: {
        x += vload(bias + v * VW);
        const vf sigmoid = vsigmoid(x);
        x *= sigmoid;
        vstore(r + v * VW, sigmoid + x * (1.0f - sigmoid));
        break;
      }
      case EPI_SCALE: x *= vload(r + v * VW); break;
    }
    vstore(c + v * VW, x);
  }
}

/* One row of a tile in the last panel of an N that NR doesn't divide: through copies as wide as a panel. */
static void gemm_finish_part(const struct gemm *g, const vf *acc, size_t i, size_t j) {
  const size_t n = g->N - j;
  float *c = g->C + i * g->ldc + j, *r = g->R ? g->R + i * g->ldr + j : 0;
  float c_part[NR] = {0}, r_part[NR] = {0}, bias_part[NR] = {0};
  if (g->epilogue == EPI_ADD) memcpy(c_part, c, n * sizeof(float));
  if (r) memcpy(r_part, r, n * sizeof(float));
  if (g->bias) memcpy(bias_part, g->bias + j, n * sizeof(float));
  gemm_finish(acc, c_part, r_part, bias_part, g->epilogue);
  memcpy(c, c_part, n * sizeof(float));
  if (g->epilogue == EPI_BIAS_SILU) memcpy(r, r_part, n * sizeof(float));
}

/* The epilogue of a tile of m rows (a constant) at row i and column j. */
INLINE void gemm_tile_end(const struct gemm *g, vf (*acc)[NV], size_t i, size_t j, const int m) {
  float *c = g->C + i * g->ldc + j;
  if (g->N - j < NR) {
    /* A copy: sums whose address is taken would not be kept in registers. */
    vf sums[MR][NV];
    UNROLL for (int r = 0; r < m; r++) {
      UNROLL for (int v = 0; v < NV; v++) sums[r][v] = acc[r][v];
    }
    for (int r = 0; r < m; r++) gemm_finish_part(g, sums[r], i + (size_t)r, j);
    return;
  }
#define FINISH(epilogue)                                                                                     \
  case epilogue:                                                                                             \
    UNROLL for (int r = 0; r < m; r++)                                                                       \
      gemm_finish(acc[r], c + (size_t)r * g->ldc, res + (size_t)r * g->ldr, g->bias + j, epilogue);          \
    break;
  float *res = g->R + i * g->ldr + j;
  switch (g->epilogue) {
    FINISH(EPI_STORE)
    FINISH(EPI_ADD)
    FINISH(EPI_BIAS)
    FINISH(EPI_BIAS_RESIDUAL)
    FINISH(EPI_BIAS_SILU)
    FINISH(EPI_SCALE)
  }
#undef FINISH
}

/* Adds one step along K to the sums of a tile of m rows: a word of each row of A times nv vectors of a row of a panel. */
INLINE void gemm_step(vf (*acc)[NV], const float *a, const size_t a_row, const float *b, const int m, const int nv) {
  vf bv[NV];
  UNROLL for (int v = 0; v < nv; v++) bv[v] = vload(b + v * VW);
  UNROLL for (int r = 0; r < m; r++) {
    const vf av = vset1(a[(size_t)r * a_row]);
    UNROLL for (int v = 0; v < nv; v++) acc[r][v] += av * bv[v];
  }
}
INLINE void gemm_step_bf16(vf (*acc)[NV], const uint32_t *a, const size_t a_row, const uint32_t *b, const int m) {
  vu bv[NV];
  UNROLL for (int v = 0; v < NV; v++) bv[v] = vuload(b + v * VW);
  UNROLL for (int r = 0; r < m; r++) {
    const vu av = (vu){0} + a[(size_t)r * a_row];
    UNROLL for (int v = 0; v < NV; v++) acc[r][v] = vdot2(acc[r][v], av, bv[v]);
  }
}

/* Rows of the next panel of B that a tile asks for: without that the panel's first tile would wait for all of it. */
struct ahead {
  const float *row;
  size_t count;
};

/* The share of tile number `tile` of `tiles`, which together ask for all of the panel behind panel p. */
INLINE struct ahead ahead_of(const struct gemm *g, size_t p, size_t tile, size_t tiles) {
  const size_t share = (g->K + tiles - 1) / tiles, first = share * tile;
  if ((p + 1) * NR >= g->N || first >= g->K) return (struct ahead){0, 0};
  return (struct ahead){g->B + (p + 1) * g->b_panel + first * g->b_row, share < g->K - first ? share : g->K - first};
}

/* The lines of NR columns. */
INLINE void prefetch_row(const float *row) {
  UNROLL for (int v = 0; v < NR; v += 16) __builtin_prefetch(row + v);
}

/* One tile of m rows (a constant after inlining) and NR columns of panel p, from row i on. a: its word (r, k) at
 * a[r * a_row + k * a_col].
 * What the epilogue reads and writes, and the next panel, are often not in a cache. They are asked for in m parts, spread over the
 * sums: a core waits for a few dozen lines at a time, and then also for those of A and B. */
INLINE void gemm_tile(const struct gemm *g, size_t i, size_t p, const int m, const float *a, const size_t a_row,
                      const size_t a_col, struct ahead next, const int bf16) {
  const float *b = g->B + p * g->b_panel;
  const size_t K = g->K, b_row = g->b_row, j = p * NR;
  const size_t part = (K + (size_t)m - 1) / (size_t)m, ahead_part = (next.count + (size_t)m - 1) / (size_t)m;
  vf acc[MR][NV];
  UNROLL for (int r = 0; r < m; r++) {
    UNROLL for (int v = 0; v < NV; v++) acc[r][v] = (vf){0};
  }
  for (size_t r = 0, k = 0; r < (size_t)m; r++) {
    prefetch_row(g->C + (i + r) * g->ldc + j);
    if (g->R) prefetch_row(g->R + (i + r) * g->ldr + j);
    for (size_t row = 0; row < ahead_part; row++, next.row += b_row) prefetch_row(next.row);
    for (const size_t end = k + part < K ? k + part : K; k < end; k++) {
      if (bf16) gemm_step_bf16(acc, (const uint32_t *)a, a_row, (const uint32_t *)b, m);
      else gemm_step(acc, a, a_row, b, m, NV);
      a += a_col;
      b += b_row;
    }
  }
  gemm_tile_end(g, acc, i, j, m);
}

/* Calls tile(m) for the rows that MR doesn't divide, with m a constant. */
#define GEMM_REST(rows, tile)                                                                                \
  switch (rows) {                                                                                            \
    case 1: tile(1); break;                                                                                  \
    case 2: tile(2); break;                                                                                  \
    case 3: tile(3); break;                                                                                  \
    case 4: tile(4); break;                                                                                  \
    case 5: tile(5); break;                                                                                  \
  }

/* A along its rows: the rows pass by a panel of B, which stays in L1 or L2. */
INLINE void by_rows(const struct gemm *g, const int bf16) {
  const size_t panels = (g->N + NR - 1) / NR, tiles = (g->M + MR - 1) / MR;
  for (size_t p = 0; p < panels; p++) {
    size_t i = 0;
#define TILE(m) gemm_tile(g, i, p, m, g->A + i * g->a_row, g->a_row, 1, ahead_of(g, p, i / MR, tiles), bf16)
    for (; i + MR <= g->M; i += MR) TILE(MR);
    GEMM_REST(g->M - i, TILE)
#undef TILE
  }
}

#define COLUMNS_K 256 /* the largest K of an A that lies along its columns */
#define STRIPS 21     /* at a time; of two products they fit into L2 */
/* Columns of A often lie a page apart. Where panels are narrow, so that many of them pass by, MR rows are copied side by side
 * first: word k of row r at [k * MR + r], and room for the rest of a vector that is written behind the last word. */
#define COPIES_COLUMNS (NR < 64)
#define STRIP (COLUMNS_K * MR + NR_MAX)

/* Whole vectors, of which the next word overwrites the rest. */
static void copy_columns(float *restrict out, const struct gemm *g, size_t i) {
  const float *from = g->A + i;
  for (size_t k = 0; k < g->K; k++, from += g->a_col, out += MR)
    UNROLL for (int r = 0; r < MR; r += VW) vstore(out + r, vload(from + r));
}

/* A along its columns, in blocks of rows that stay in L2 while panel after panel of B passes by. A second product of the same M
 * and N follows panel by panel, while what it adds to is at hand. */
INLINE void by_columns(const struct gemm *first, const struct gemm *second, const int bf16) {
  const struct gemm *products[2] = {first, second};
  const int count = second ? 2 : 1;
  const size_t M = first->M, panels = (first->N + NR - 1) / NR;
  _Alignas(64) float strips[2][COPIES_COLUMNS ? STRIPS : 1][COPIES_COLUMNS ? STRIP : 1];
  for (size_t top = 0; top < M; top += STRIPS * MR) {
    const size_t end = M - top < STRIPS * MR ? M : top + STRIPS * MR, tiles = (end - top + MR - 1) / MR;
    for (int n = 0; COPIES_COLUMNS && n < count; n++)
      for (size_t t = 0; t < tiles; t++) copy_columns(strips[n][t], products[n], top + t * MR);
    for (size_t p = 0; p < panels; p++)
      for (int n = 0; n < count; n++) {
        const struct gemm *g = products[n];
        size_t i = top, t = 0;
#define TILE(m)                                                                                              \
  gemm_tile(g, i, p, m, COPIES_COLUMNS ? strips[n][t] : g->A + i, 1, COPIES_COLUMNS ? MR : g->a_col,         \
            ahead_of(g, p, t, tiles), bf16)
        for (; i + MR <= end; i += MR, t++) TILE(MR);
        GEMM_REST(end - i, TILE)
#undef TILE
      }
  }
}

/* One function each, so that the loops are compiled once. */
static void gemm_by_rows(const struct gemm *g) { by_rows(g, 0); }
static void gemm_by_columns(const struct gemm *first, const struct gemm *second) { by_columns(first, second, 0); }
static void gemm_pairs_by_rows(const struct gemm *g) { by_rows(g, 1); }
static void gemm_pairs_by_columns(const struct gemm *first, const struct gemm *second) { by_columns(first, second, 1); }

static void gemm(const struct gemm *g) {
  if (g->a_col == 1) gemm_by_rows(g);
  else gemm_by_columns(g, 0);
}

/* Words of scratch for the pairs of an A (M, K). Rows of the copy, along M or along K, end in a pad. */
#define PAIR_PAD 16
static size_t rounded_words(size_t M, size_t K) { return (M + PAIR_PAD) * (pairs_of(K) + PAIR_PAD); }

/* in_pairs: the product over pairs of numbers, with A (float32, K of them) rounded into `rounded`, and B pairs already. */
static struct gemm in_pairs(const struct gemm *g, uint32_t *rounded) {
  struct gemm h = *g;
  h.K = pairs_of(g->K);
  h.A = (const float *)rounded;
  if (g->a_col == 1) {
    h.a_row = h.K + PAIR_PAD;
    for (size_t i = 0; i < g->M; i++) round_row(rounded + i * h.a_row, g->A + i * g->a_row, g->K);
  } else {
    h.a_col = g->M + PAIR_PAD;
    pair_rows(rounded, h.a_col, g->A, g->a_col, g->K, g->M, g->M, TO_CACHE);
  }
  return h;
}

/* gemm_bf16: like gemm, with A rounded here, and B of pairs. rounded: room for rounded_words(M, K). */
static void gemm_bf16(const struct gemm *g, uint32_t *rounded) {
  const struct gemm h = in_pairs(g, rounded);
  if (h.a_col == 1) gemm_pairs_by_rows(&h);
  else gemm_pairs_by_columns(&h, 0);
}

/* gemm_one_row: M = 1, bias or none. Bound by reading B once; two chains of sums a panel hide the latency. */
static void gemm_one_row(const struct gemm *g) {
  const size_t panels = (g->N + NR - 1) / NR, K = g->K - g->K % 2;
  for (size_t p = 0; p < panels; p++) {
    const float *b = g->B + p * g->b_panel;
    vf even[NV], odd[NV];
    UNROLL for (int v = 0; v < NV; v++) even[v] = odd[v] = (vf){0};
    for (size_t k = 0; k < K; k += 2, b += 2 * NR) {
      const vf x0 = vset1(g->A[k]), x1 = vset1(g->A[k + 1]);
      UNROLL for (int v = 0; v < NV; v++) {
        even[v] += x0 * vload(b + v * VW);
        odd[v] += x1 * vload(b + NR + v * VW);
      }
    }
    for (size_t k = K; k < g->K; k++, b += NR) {
      const vf x0 = vset1(g->A[k]);
      UNROLL for (int v = 0; v < NV; v++) even[v] += x0 * vload(b + v * VW);
    }
    const size_t j = p * NR;
    UNROLL for (int v = 0; v < NV; v++) {
      const size_t at = j + (size_t)v * VW, n = at >= g->N ? 0 : g->N - at < VW ? g->N - at : VW;
      const vf bias = g->bias ? vload_part(g->bias + at, n) : (vf){0};
      vstore_part(g->C + at, even[v] + odd[v] + bias, n);
    }
  }
}
