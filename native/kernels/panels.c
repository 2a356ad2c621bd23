/* panels.c: matrices -> the panels of NR columns that products read, as float32 or as pairs of bfloat16 numbers. */

/* What a panel goes to: a cache, or, once a step with all the weights, memory. */
enum target { TO_CACHE, TO_MEMORY };
INLINE void put(float *p, vf x, const enum target target) {
  if (target == TO_MEMORY) vstream(p, x);
  else vstore(p, x);
}

/* pack_rows: panels of the matrix X (K, N) with row stride ldx: out[p][k][j] = X[k][p * NR + j], 0 beyond N. */
INLINE void pack_rows(float *restrict out, const float *restrict X, size_t K, size_t N, size_t ldx,
                      const enum target target) {
  size_t j = 0;
  for (; j + NR <= N; j += NR) {
    const float *from = X + j;
    for (size_t k = 0; k < K; k++, out += NR, from += ldx) {
      UNROLL for (int v = 0; v < NV; v++) put(out + v * VW, vload(from + v * VW), target);
    }
  }
  if (j == N) return;
  for (size_t k = 0; k < K; k++, out += NR) {
    memcpy(out, X + k * ldx + j, (N - j) * sizeof(float));
    memset(out + (N - j), 0, (NR - (N - j)) * sizeof(float));
  }
}

/* A square block of `count` rows, transposed: out[k][j] = in[j][k], 0 for j >= count. With 512 bits it reads and writes whole
 * cache lines: rows of a weight matrix often lie a power of two apart, where a line would be gone before its second half is
 * wanted. */
#if defined(__AVX512F__) && VW == 16
#define BLOCK 16
INLINE void transpose_block(float *restrict out, const float *restrict in, size_t ldin, size_t count,
                            const enum target target) {
  __m512 r[16], t[16];
  UNROLL for (size_t i = 0; i < 16; i++) r[i] = i < count ? _mm512_loadu_ps(in + i * ldin) : _mm512_setzero_ps();
  UNROLL for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  /* r[4 * g + c], lane L: rows 4 * g ... 4 * g + 3 of column 4 * L + c. */
  UNROLL for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
    r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  UNROLL for (size_t c = 0; c < 4; c++) {
    const __m512 top_even = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88), top_odd = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd);
    const __m512 end_even = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
    const __m512 end_odd = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
    put(out + c * NR, (vf)_mm512_shuffle_f32x4(top_even, end_even, 0x88), target);
    put(out + (4 + c) * NR, (vf)_mm512_shuffle_f32x4(top_odd, end_odd, 0x88), target);
    put(out + (8 + c) * NR, (vf)_mm512_shuffle_f32x4(top_even, end_even, 0xdd), target);
    put(out + (12 + c) * NR, (vf)_mm512_shuffle_f32x4(top_odd, end_odd, 0xdd), target);
  }
}
#else
#define BLOCK 8
INLINE void transpose_block(float *restrict out, const float *restrict in, size_t ldin, size_t count,
                            const enum target target) {
  (void)target;
#if defined(__AVX2__)
  __m256 r[8], t[8];
  UNROLL for (size_t i = 0; i < 8; i++) r[i] = i < count ? _mm256_loadu_ps(in + i * ldin) : _mm256_setzero_ps();
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
    _mm256_storeu_ps(out + (size_t)i * NR, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(out + (size_t)(i + 4) * NR, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
#else
  for (size_t k = 0; k < 8; k++)
    for (size_t j = 0; j < 8; j++) out[k * NR + j] = j < count ? in[j * ldin + k] : 0;
#endif
}
#endif

/* pack_transposed: one panel of the transpose of n <= NR rows of W: out[k][j] = W[j][k], k < K, 0 for j >= n. */
INLINE void pack_transposed(float *restrict out, const float *restrict W, size_t ldw, size_t n, size_t K,
                            const enum target target) {
  const size_t whole = K - K % BLOCK;
  for (size_t k = 0; k < whole; k += BLOCK)
    for (size_t j = 0; j < NR; j += BLOCK) {
      float *to = out + k * NR + j;
      const float *from = W + (j < n ? j : 0) * ldw + k;
      if (j + BLOCK <= n) transpose_block(to, from, ldw, BLOCK, target);
      else transpose_block(to, from, ldw, j < n ? n - j : 0, target);
    }
  for (size_t k = whole; k < K; k++)
    for (size_t j = 0; j < NR; j++) out[k * NR + j] = j < n ? W[j * ldw + k] : 0;
}

/* pack_panel_transposed: panel p of the transpose of W (N, K), for Y = X . W^T: out[k][j] = W[p * NR + j][k], 0 beyond N. */
INLINE void pack_panel_transposed(float *restrict out, const float *restrict W, size_t p, size_t N, size_t K,
                                  const enum target target) {
  const size_t first = p * NR, n = N - first < NR ? N - first : NR;
  pack_transposed(out, W + first * K, K, n, K, target);
}

/* pair_rows: out[k][j] = X[2k][j] and X[2k + 1][j], 0 beyond K, and beyond `width` up to `wide`; row strides ldo and ldx. */
INLINE void pair_rows(uint32_t *restrict out, size_t ldo, const float *restrict X, size_t ldx, size_t K, size_t width,
                      size_t wide, const enum target target) {
  for (size_t k = 0; k < K; k += 2, out += ldo) {
    const float *even = X + k * ldx, *odd = even + ldx;
    size_t j = 0;
    for (; j + VW <= width; j += VW)
      put((float *)out + j, (vf)vpair(vload(even + j), k + 1 < K ? vload(odd + j) : (vf){0}), target);
    for (; j < width; j++) out[j] = bf16_pair(even[j], k + 1 < K ? odd[j] : 0);
    for (; j < wide; j++) out[j] = 0;
  }
}

/* pack_panel_transposed with rounded numbers. */
INLINE void pair_panel_transposed(uint32_t *restrict out, const float *restrict W, size_t p, size_t N, size_t K,
                                  const enum target target) {
  enum { AT_ONCE = 128 }; /* inputs */
  const size_t first = p * NR, n = N - first < NR ? N - first : NR;
  uint32_t rows[NR][AT_ONCE / 2];
  for (size_t k = 0; k < K; k += AT_ONCE, out += AT_ONCE / 2 * NR) {
    const size_t count = K - k < AT_ONCE ? K - k : AT_ONCE;
    for (size_t j = 0; j < NR; j++) {
      if (j < n) round_row(rows[j], W + (first + j) * K + k, count);
      else memset(rows[j], 0, sizeof rows[j]);
    }
    pack_transposed((float *)out, (const float *)rows[0], AT_ONCE / 2, NR, pairs_of(count), target);
  }
}
