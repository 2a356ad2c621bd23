/* panels.c: matrices -> the panels of NR columns that products read, as float32 or as pairs of bfloat16 numbers. */

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

/* Every panel of X (K, N), row stride ldx, as the right operand of a product in that precision. */
static void pack_operand(float *panels, const float *X, size_t K, size_t N, size_t ldx, int bf16) {
  if (!bf16) pack_rows(panels, X, K, N, ldx);
  else
    for (size_t j = 0; j < N; j += NR)
      pair_rows((uint32_t *)panels + j * pairs_of(K), X + j, K, N - j < NR ? N - j : NR, ldx);
}

/* The same of the transpose of W (N, K). */
static void pack_operand_transposed(float *panels, const float *W, size_t N, size_t K, int bf16) {
  for (size_t p = 0; p * NR < N; p++) {
    if (bf16) pair_panel_transposed((uint32_t *)panels + p * NR * pairs_of(K), W, p, N, K);
    else pack_panel_transposed(panels + p * NR * K, W, p, N, K);
  }
}
