/* bf16.c: matrix products whose operands are rounded to bfloat16 and whose sums are float32; see gemm.c for the rest.
 * Two neighbours along K share a 32-bit word, the even one in its low half, as VDPBF16PS of AVX512_BF16 reads them (Intel SDM,
 * volume 2). Other instruction sets compute the same from shifted words: slower than float32, for tests of this path. */

typedef uint32_t vu_unaligned __attribute__((vector_size(VW * 4), aligned(4)));

INLINE vu vuload(const uint32_t *p) { return *(const vu_unaligned *)p; }
INLINE void vustore(uint32_t *p, vu x) { *(vu_unaligned *)p = x; }

/* The upper half of a float32, rounded to nearest, ties to even; a NaN stays one. */
INLINE uint32_t bf16_upper(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
  return (bits & 0x7fffffff) > 0x7f800000 ? bits | 0x400000 : rounded;
}
INLINE uint32_t bf16_pair(float even, float odd) { return bf16_upper(even) >> 16 | (bf16_upper(odd) & 0xffff0000); }

#if defined(__AVX512BF16__) && VW == 16
#define HAS_BF16 /* instructions that multiply bfloat16 numbers */
/* sum + the products of both halves. */
INLINE vf vdot2(vf sum, vu a, vu b) { return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b); }
INLINE vu vhalf(vf x) { return (vu)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)x)); }
INLINE vu vpair(vf even, vf odd) { return vhalf(even) | vhalf(odd) << 16; }
#else
INLINE vf vdot2(vf sum, vu a, vu b) {
  sum += (vf)(a & 0xffff0000u) * (vf)(b & 0xffff0000u);
  return sum + (vf)(a << 16) * (vf)(b << 16);
}
INLINE vu vupper(vf x) {
  const vu bits = (vu)x, is_nan = (vu)(x != x);
  return (is_nan & (bits | 0x400000u)) | (~is_nan & (bits + 0x7fffu + (bits >> 16 & 1u)));
}
INLINE vu vpair(vf even, vf odd) { return vupper(even) >> 16 | (vupper(odd) & 0xffff0000u); }
#endif

INLINE size_t pairs_of(size_t K) { return (K + 1) / 2; }

/* round_row: out[k] = x[2k] and x[2k + 1], K floats, 0 behind an odd K. */
static void round_row(uint32_t *restrict out, const float *restrict x, size_t K) {
  size_t k = 0;
#if defined(HAS_BF16)
  for (; k + 32 <= K; k += 32)
    _mm512_storeu_si512(out + k / 2, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + k + 16), _mm512_loadu_ps(x + k)));
#endif
  for (; k + 2 <= K; k += 2) out[k / 2] = bf16_pair(x[k], x[k + 1]);
  if (k < K) out[k / 2] = bf16_pair(x[k], 0);
}

/* pair_rows: one panel of X (K, width), row stride ldx: out[k][j] = X[2k][j] and X[2k + 1][j], 0 beyond K and width. */
static void pair_rows(uint32_t *restrict out, const float *restrict X, size_t K, size_t width, size_t ldx) {
  for (size_t k = 0; k < K; k += 2, out += NR) {
    const float *even = X + k * ldx, *odd = even + ldx;
    size_t j = 0;
    for (; j + VW <= width; j += VW) vustore(out + j, vpair(vload(even + j), k + 1 < K ? vload(odd + j) : (vf){0}));
    for (; j < width; j++) out[j] = bf16_pair(even[j], k + 1 < K ? odd[j] : 0);
    for (; j < NR; j++) out[j] = 0;
  }
}

/* pack_panel_transposed with rounded numbers. */
static void pair_panel_transposed(uint32_t *restrict out, const float *restrict W, size_t p, size_t N, size_t K) {
  enum { BLOCK = 128 }; /* inputs at a time */
  const size_t first = p * NR, n = N - first < NR ? N - first : NR;
  uint32_t rows[NR][BLOCK / 2];
  for (size_t k = 0; k < K; k += BLOCK, out += BLOCK / 2 * NR) {
    const size_t count = K - k < BLOCK ? K - k : BLOCK;
    for (size_t j = 0; j < NR; j++) {
      if (j < n) round_row(rows[j], W + (first + j) * K + k, count);
      else memset(rows[j], 0, sizeof rows[j]);
    }
    pack_transposed((float *)out, (const float *)rows[0], BLOCK / 2, NR, pairs_of(count));
  }
}
/* Words of scratch for the rounded rows of an A (M, K). */
#define PAIR_PAD 16
static size_t rounded_words(size_t M, size_t K) { return M * (pairs_of(K) + PAIR_PAD); }

/* gemm_tile with rounded operands. */
INLINE void gemm_tile_bf16(const struct gemm *g, size_t i, size_t p, const int m, const uint32_t *a, const size_t a_row,
                           const size_t a_col, const uint32_t *next, size_t ahead) {
  const size_t pairs = pairs_of(g->K);
  const uint32_t *b = (const uint32_t *)g->B + p * NR * pairs;
  UNROLL for (int r = 0; r < m; r++) __builtin_prefetch(g->C + (i + (size_t)r) * g->ldc + p * NR, 1);
  for (size_t l = 0; l < ahead; l++) __builtin_prefetch(next + 16 * l, 0, 2);
  vf acc[MR][NV];
  UNROLL for (int r = 0; r < m; r++) {
    UNROLL for (int v = 0; v < NV; v++) acc[r][v] = (vf){0};
  }
  for (size_t k = 0; k < pairs; k++) {
    vu bv[NV];
    UNROLL for (int v = 0; v < NV; v++) bv[v] = vuload(b + v * VW);
    UNROLL for (int r = 0; r < m; r++) {
      const vu av = (vu){0} + a[(size_t)r * a_row];
      UNROLL for (int v = 0; v < NV; v++) acc[r][v] = vdot2(acc[r][v], av, bv[v]);
    }
    a += a_col;
    b += NR;
  }
  gemm_tile_end(g, acc, i, p * NR, m);
}

static void gemm_bf16_by_rows(const struct gemm *g, uint32_t *rounded) {
  const size_t panels = (g->N + NR - 1) / NR, tiles = (g->M + MR - 1) / MR, pairs = pairs_of(g->K);
  const size_t row = pairs + PAIR_PAD, lines = NR * pairs / 16;
  for (size_t i = 0; i < g->M; i++) round_row(rounded + i * row, g->A + i * g->a_row, g->K);
  for (size_t p = 0; p < panels; p++) {
    const uint32_t *next = (const uint32_t *)g->B + (p + 1) * NR * pairs;
    const size_t ahead = p + 1 < panels ? (lines + tiles - 1) / tiles : 0;
    size_t i = 0;
    for (; i + MR <= g->M; i += MR, next += 16 * ahead) gemm_tile_bf16(g, i, p, MR, rounded + i * row, row, 1, next, ahead);
#define TILE(m) gemm_tile_bf16(g, i, p, m, rounded + i * row, row, 1, next, 0)
    GEMM_REST(g->M - i, TILE)
#undef TILE
  }
}

/* out[k][r] = A(i + r, 2k) and A(i + r, 2k + 1) for r < MR: whole vectors, of which the next row overwrites the rest. */
static void pair_columns(uint32_t *restrict out, const struct gemm *g, size_t i) {
  const float *even = g->A + i;
  for (size_t k = 0; k < g->K; k += 2, even += 2 * g->a_col, out += MR)
    UNROLL for (int r = 0; r < MR; r += VW)
      vustore(out + r, vpair(vload(even + r), k + 1 < g->K ? vload(even + g->a_col + r) : (vf){0}));
}

static void gemm_bf16_by_columns(const struct gemm *first, const struct gemm *second) {
  const struct gemm *products[2] = {first, second};
  const int count = second ? 2 : 1;
  const size_t panels = (first->N + NR - 1) / NR;
  uint32_t columns[2][COLUMNS_K / 2 * MR + NR_MAX];
  size_t i = 0;
#define STRIP(m)                                                                                             \
  do {                                                                                                       \
    for (int n = 0; n < count; n++) pair_columns(columns[n], products[n], i);                                \
    for (size_t p = 0; p < panels; p++)                                                                      \
      for (int n = 0; n < count; n++) gemm_tile_bf16(products[n], i, p, m, columns[n], 1, MR, 0, 0);         \
  } while (0)
  for (; i + MR <= first->M; i += MR) STRIP(MR);
  GEMM_REST(first->M - i, STRIP)
#undef STRIP
}

/* gemm_bf16: like gemm, but B holds panels of pairs (NR columns, pairs_of(K) words each) and A (float32) is rounded here.
 * Of an A that lies along its columns, VW floats may be read from any of its elements on: its rows end in a pad.
 *   rounded: room for rounded_words(M, K), if A lies along its rows */
static void gemm_bf16(const struct gemm *g, uint32_t *rounded) {
  if (g->a_col == 1) gemm_bf16_by_rows(g, rounded);
  else gemm_bf16_by_columns(g, 0);
}
