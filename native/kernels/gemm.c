/* gemm.c: every matrix product of the model. C (M, N) = A (M, K) . B (K, N), with an epilogue on the tile while it is in registers.
 * A is read as it lies, along its rows or along its columns; B comes in panels of NR columns.
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
  size_t M, N, K;
  const float *A; /* element (i, k) at A[i * a_row + k * a_col]; one of the two strides is 1; K <= COLUMNS_K if a_row is */
  size_t a_row, a_col;
  const float *B; /* panel p at B + p * b_panel; its element (k, j) at [k * b_row + j]; NR columns may be read of every panel */
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

/* One tile of m rows (a constant after inlining) and NR columns of panel p, from row i on. a: its element (r, k) at
 * a[r * a_row + k * a_col]. next: `ahead` cache lines that the next panel will need. */
INLINE void gemm_tile(const struct gemm *g, size_t i, size_t p, const int m, const float *a, const size_t a_row,
                      const size_t a_col, const char *next, size_t ahead) {
  const float *b = g->B + p * g->b_panel;
  const size_t K = g->K, b_row = g->b_row;
  const size_t j = p * NR;
  float *c = g->C + i * g->ldc + j;
  /* Where the tile goes is often not in a cache (gradients are written once a step): ask for it before it is needed. */
  UNROLL for (int r = 0; r < m; r++) __builtin_prefetch(c + (size_t)r * g->ldc, 1);
  for (size_t l = 0; l < ahead; l++) __builtin_prefetch(next + 64 * l, 0, 2);
  vf acc[MR][NV];
  UNROLL for (int r = 0; r < m; r++) {
    UNROLL for (int v = 0; v < NV; v++) acc[r][v] = (vf){0};
  }
  for (size_t k = 0; k < K; k++) {
    vf bv[NV];
    UNROLL for (int v = 0; v < NV; v++) bv[v] = vload(b + v * VW);
    UNROLL for (int r = 0; r < m; r++) {
      vf av = vset1(a[(size_t)r * a_row]);
      UNROLL for (int v = 0; v < NV; v++) acc[r][v] += av * bv[v];
    }
    a += a_col;
    b += b_row;
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

/* A along its rows: a panel of B stays in L1 while the rows of A pass by; they ask for the next panel, a part each. */
static void gemm_by_rows(const struct gemm *g) {
  const size_t panels = (g->N + NR - 1) / NR, tiles = (g->M + MR - 1) / MR;
  const size_t lines = (g->b_panel * sizeof(float) + 63) / 64;
  for (size_t p = 0; p < panels; p++) {
    const char *next = (const char *)(g->B + (p + 1) * g->b_panel);
    const size_t ahead = p + 1 < panels ? (lines + tiles - 1) / tiles : 0;
    size_t i = 0;
    for (; i + MR <= g->M; i += MR, next += 64 * ahead)
      gemm_tile(g, i, p, MR, g->A + i * g->a_row, g->a_row, 1, next, ahead);
#define TILE(m) gemm_tile(g, i, p, m, g->A + i * g->a_row, g->a_row, 1, next, 0)
    GEMM_REST(g->M - i, TILE)
#undef TILE
  }
}

#define COLUMNS_K 256 /* the largest K of an A that lies along its columns */

/* out[k][r] = A(i + r, k) for m (a constant) rows. */
INLINE void copy_columns(float *restrict out, const struct gemm *g, size_t i, const int m) {
  const float *from = g->A + i;
  for (size_t k = 0; k < g->K; k++, from += g->a_col)
    UNROLL for (int r = 0; r < m; r++) out[k * MR + (size_t)r] = from[r];
}

/* A along its columns, often a page apart: MR of them are copied side by side and meet every panel of B. A second product of
 * the same M and N is done tile by tile after the first, while what it adds to is at hand. */
static void gemm_by_columns(const struct gemm *first, const struct gemm *second) {
  const struct gemm *products[2] = {first, second};
  const int count = second ? 2 : 1;
  const size_t panels = (first->N + NR - 1) / NR;
  float columns[2][COLUMNS_K * MR];
  size_t i = 0;
#define STRIP(m)                                                                                             \
  do {                                                                                                       \
    for (int n = 0; n < count; n++) copy_columns(columns[n], products[n], i, m);                             \
    for (size_t p = 0; p < panels; p++)                                                                      \
      for (int n = 0; n < count; n++) gemm_tile(products[n], i, p, m, columns[n], 1, MR, 0, 0);              \
  } while (0)
  for (; i + MR <= first->M; i += MR) STRIP(MR);
  GEMM_REST(first->M - i, STRIP)
#undef STRIP
}

static void gemm(const struct gemm *g) {
  if (g->a_col == 1) gemm_by_rows(g);
  else gemm_by_columns(g, 0);
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

/* pack_rows: panels of the matrix X (K, N) with row stride ldx: out[p][k][j] = X[k][p * NR + j], 0 beyond N. */
static void pack_rows(float *restrict out, const float *restrict X, size_t K, size_t N, size_t ldx) {
  size_t j = 0;
  for (; j + NR <= N; j += NR) {
    const float *from = X + j;
    for (size_t k = 0; k < K; k++, out += NR, from += ldx) {
      UNROLL for (int v = 0; v < NV; v++) vstore(out + v * VW, vload(from + v * VW));
    }
  }
  if (j == N) return;
  for (size_t k = 0; k < K; k++, out += NR) {
    memcpy(out, X + k * ldx + j, (N - j) * sizeof(float));
    memset(out + (N - j), 0, (NR - (N - j)) * sizeof(float));
  }
}

/* An 8 x 8 block, transposed: out[k][j] = in[j][k]. */
INLINE void transpose8(float *restrict out, size_t ldout, const float *restrict in, size_t ldin) {
#if defined(__AVX2__)
  __m256 r[8], t[8];
  UNROLL for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(in + (size_t)i * ldin);
  UNROLL for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  UNROLL for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  UNROLL for (int i = 0; i < 4; i++) {
    _mm256_storeu_ps(out + (size_t)i * ldout, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(out + (size_t)(i + 4) * ldout, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
#else
  for (size_t k = 0; k < 8; k++)
    for (size_t j = 0; j < 8; j++) out[k * ldout + j] = in[j * ldin + k];
#endif
}

/* pack_transposed: one panel of the transpose of n <= NR rows of W: out[k][j] = W[j][k], k < K, 0 for j >= n. */
static void pack_transposed(float *restrict out, const float *restrict W, size_t ldw, size_t n, size_t K) {
  const size_t whole_j = n - n % 8, whole_k = K - K % 8;
  if (n < NR) memset(out, 0, K * NR * sizeof(float));
  for (size_t k = 0; k < whole_k; k += 8)
    for (size_t j = 0; j < whole_j; j += 8) transpose8(out + k * NR + j, NR, W + j * ldw + k, ldw);
  for (size_t j = 0; j < n; j++)
    for (size_t k = j < whole_j ? whole_k : 0; k < K; k++) out[k * NR + j] = W[j * ldw + k];
}

/* pack_panel_transposed: panel p of the transpose of W (N, K), for Y = X . W^T: out[k][j] = W[p * NR + j][k], 0 beyond N. */
static void pack_panel_transposed(float *restrict out, const float *restrict W, size_t p, size_t N, size_t K) {
  const size_t first = p * NR, n = N - first < NR ? N - first : NR;
  pack_transposed(out, W + first * K, K, n, K);
}
