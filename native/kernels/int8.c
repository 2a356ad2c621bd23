/* int8.c: linear layers with int8 weights (one scale per output channel) and activations quantised on the fly (one scale per
 * row), as PyTorch's dynamic quantisation does. Sums are exact 32-bit integers, so every instruction set gives the same bits.
 * Packed weights: panels of QR output channels; within a panel, for each pair of inputs, QR pairs of bytes. */
#define QR 16       /* output channels a panel */
#define QUANT_ROWS 4 /* rows of activations that share one pass over the weights */

static size_t quantized_matrix_bytes(size_t N, size_t K) { return round_up(N, QR) * K; }

/* W (N, K) int8, K even -> panels, 0 beyond N. */
static void quantized_pack(int8_t *restrict out, const int8_t *restrict W, size_t N, size_t K) {
  for (size_t first = 0; first < N; first += QR)
    for (size_t k = 0; k < K; k += 2)
      for (size_t j = 0; j < QR; j++, out += 2) {
        out[0] = first + j < N ? W[(first + j) * K + k] : 0;
        out[1] = first + j < N ? W[(first + j) * K + k + 1] : 0;
      }
}

/* Row `row` of packed weights (N, K), as floats. */
static void quantized_row(float *restrict out, const int8_t *restrict packed, const float *restrict scales, size_t row,
                          size_t K) {
  const int8_t *at = packed + row / QR * QR * K + 2 * (row % QR);
  for (size_t k = 0; k < K; k += 2, at += 2 * QR) {
    out[k] = (float)at[0] * scales[row];
    out[k + 1] = (float)at[1] * scales[row];
  }
}

/* One row of activations: out = round(x / scale), scale = max|x| / 127. Returns the scale (0 for a row of zeros). */
static float quantize_row(int16_t *restrict out, const float *restrict x, size_t K) {
  float largest = 0;
  for (size_t k = 0; k < K; k++) largest = fabsf(x[k]) > largest ? fabsf(x[k]) : largest;
  const float inverse = largest > 0 ? 127.0f / largest : 0;
  for (size_t k = 0; k < K; k++) out[k] = (int16_t)lrintf(x[k] * inverse);
  return largest / 127.0f;
}

/* Processors with AVX512_VNNI multiply 32 pairs and add them up in one instruction (Intel SDM, VPDPWSSD). Not all with AVX-512
 * have it, so this one function asks for it and its caller looks. */
#if defined(__AVX512BW__)
#define HAVE_VNNI 1
#define VNNI_ROWS(rows)                                                                                      \
  do {                                                                                                       \
    __m512i acc[rows];                                                                                       \
    UNROLL for (int r = 0; r < rows; r++) acc[r] = _mm512_setzero_si512();                                   \
    for (size_t k = 0; k < K; k += 2, panel += 2 * QR) {                                                     \
      const __m512i w = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)panel));                    \
      UNROLL for (int r = 0; r < rows; r++) {                                                                \
        int32_t pair;                                                                                        \
        memcpy(&pair, x + (size_t)r * K + k, sizeof pair);                                                   \
        acc[r] = _mm512_dpwssd_epi32(acc[r], w, _mm512_set1_epi32(pair));                                    \
      }                                                                                                      \
    }                                                                                                        \
    UNROLL for (int r = 0; r < rows; r++) _mm512_storeu_si512(sums[r], acc[r]);                              \
  } while (0)
__attribute__((target("avx512vnni"))) static void quantized_tile_vnni(int32_t (*restrict sums)[QR],
                                                                      const int8_t *restrict panel,
                                                                      const int16_t *restrict x, size_t K, size_t rows) {
  switch (rows) {
    case 1: VNNI_ROWS(1); break;
    case 2: VNNI_ROWS(2); break;
    case 3: VNNI_ROWS(3); break;
    default: VNNI_ROWS(QUANT_ROWS); break;
  }
}
#undef VNNI_ROWS
#endif

/* sums[r][j] = sum over k of x[r][k] * W[first + j][k] for one panel and `rows` (constant, at most QUANT_ROWS) rows. */
INLINE void quantized_tile(int32_t (*restrict sums)[QR], const int8_t *restrict panel, const int16_t *restrict x,
                           size_t K, const int rows) {
#if defined(__AVX2__)
  __m256i acc[QUANT_ROWS][2];
  UNROLL for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = _mm256_setzero_si256();
  for (size_t k = 0; k < K; k += 2, panel += 2 * QR) {
    const __m256i low = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)panel));
    const __m256i high = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(panel + QR)));
    UNROLL for (int r = 0; r < rows; r++) {
      int32_t pair;
      memcpy(&pair, x + (size_t)r * K + k, sizeof pair);
      const __m256i both = _mm256_set1_epi32(pair);
      acc[r][0] = _mm256_add_epi32(acc[r][0], _mm256_madd_epi16(low, both));
      acc[r][1] = _mm256_add_epi32(acc[r][1], _mm256_madd_epi16(high, both));
    }
  }
  UNROLL for (int r = 0; r < rows; r++) {
    _mm256_storeu_si256((__m256i *)sums[r], acc[r][0]);
    _mm256_storeu_si256((__m256i *)(sums[r] + 8), acc[r][1]);
  }
#else
  memset(sums, 0, (size_t)rows * sizeof sums[0]);
  for (size_t k = 0; k < K; k += 2, panel += 2 * QR)
    for (int r = 0; r < rows; r++) {
      const int32_t a = x[(size_t)r * K + k], b = x[(size_t)r * K + k + 1];
      for (size_t j = 0; j < QR; j++) sums[r][j] += a * panel[2 * j] + b * panel[2 * j + 1];
    }
#endif
}

static void quantized_sums(int32_t (*restrict sums)[QR], const int8_t *restrict panel, const int16_t *restrict x, size_t K,
                           size_t rows) {
#if defined(HAVE_VNNI)
  if (__builtin_cpu_supports("avx512vnni")) {
    quantized_tile_vnni(sums, panel, x, K, rows);
    return;
  }
#endif
  switch (rows) {
    case 1: quantized_tile(sums, panel, x, K, 1); break;
    case 2: quantized_tile(sums, panel, x, K, 2); break;
    case 3: quantized_tile(sums, panel, x, K, 3); break;
    default: quantized_tile(sums, panel, x, K, QUANT_ROWS); break;
  }
}

/* quantized_linear: Y (rows, N) = X (rows, K) . W^T + bias, overwritten; row strides ldy, ldx; bias may be null.
 *   packed, scales (N): the weights    x16: room for QUANT_ROWS * K int16 */
static void quantized_linear(float *restrict Y, size_t ldy, const float *restrict X, size_t ldx, size_t rows,
                             const int8_t *packed, const float *scales, const float *bias, size_t N, size_t K,
                             int16_t *x16) {
  for (size_t first = 0; first < rows; first += QUANT_ROWS) {
    const size_t m = rows - first < QUANT_ROWS ? rows - first : QUANT_ROWS;
    float row_scales[QUANT_ROWS];
    int32_t sums[QUANT_ROWS][QR];
    for (size_t r = 0; r < m; r++) row_scales[r] = quantize_row(x16 + r * K, X + (first + r) * ldx, K);
    for (size_t j = 0; j < N; j += QR) {
      quantized_sums(sums, packed + j * K, x16, K, m);
      for (size_t r = 0; r < m; r++)
        for (size_t c = 0; c < QR && j + c < N; c++)
          Y[(first + r) * ldy + j + c] = (float)sums[r][c] * (row_scales[r] * scales[j + c]) + (bias ? bias[j + c] : 0);
    }
  }
}
