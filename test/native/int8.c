/* int8.c: tests of quantized_linear: whole numbers that must come out exactly, and real ones, rounded to
 * the nearest quantum in double precision. */

static const int input_counts[] = {2, 6, 8, 14, 16, 34, 64, 174, 256};

/* Activations are whole numbers with 127 as the largest: their scale is 1, and every result is a whole number. */
static void check_exact_integers(size_t rows, size_t N, size_t K, int has_bias) {
  begin("quantized_linear, whole numbers, %zu rows, N %zu, K %zu, %s", rows, N, K, has_bias ? "bias" : "no bias");
  struct grid x = grid_new(rows, K, K + 3, 0), y = grid_new(rows, N, N + 2, 0);
  struct grid scales = grid_new(1, N, N, 0), bias = grid_new(1, N, N, 0);
  int8_t *w = allocate(N * K), *packed = allocate(quantized_matrix_bytes(N, K));
  int16_t *x16 = allocate(QUANT_ROWS * K * sizeof(int16_t));
  for (size_t i = 0; i < N * K; i++) w[i] = (int8_t)(random_bits() % 256);
  for (size_t i = 0; i < rows; i++) {
    for (size_t k = 0; k < K; k++) *cell(&x, i, k) = (float)((int)(random_bits() % 255) - 127);
    *cell(&x, i, random_bits() % K) = i % 2 ? -127 : 127;
    if (i == 2) memset(cell(&x, i, 0), 0, K * sizeof(float));
  }
  for (size_t n = 0; n < N; n++) {
    scales.at[n] = n % 3 ? 1 : 0.5f;
    bias.at[n] = (float)((int)(random_bits() % 1000) - 500);
  }
  double *expected = doubles(2 * rows * N), *bound = expected + rows * N;
  for (size_t i = 0; i < rows; i++)
    for (size_t n = 0; n < N; n++) {
      int64_t sum = 0;
      for (size_t k = 0; k < K; k++) sum += (int64_t)*cell(&x, i, k) * w[n * K + k];
      expected[i * N + n] = (double)sum * scales.at[n] + (has_bias ? bias.at[n] : 0);
      bound[i * N + n] = 0;
    }
  quantized_pack(packed, w, N, K);
  quantized_linear(y.at, y.ld, x.at, x.ld, rows, packed, scales.at, has_bias ? bias.at : 0, N, K, x16);
  check_output(&y, "y", expected, bound);
  free(expected);
  free(w);
  free(packed);
  free(x16);
  grid_free(&x);
  grid_free(&y);
  grid_free(&scales);
  grid_free(&bias);
}

static void check_real_numbers(void) {
  const size_t rows = 6, N = 19, K = 64;
  begin("quantized_linear, real numbers");
  struct grid x = grid_random(rows, K, K, 0), y = grid_new(rows, N, N, 0), scales = grid_random(1, N, N, 0);
  int8_t *w = allocate(N * K), *packed = allocate(quantized_matrix_bytes(N, K));
  int16_t *x16 = allocate(QUANT_ROWS * K * sizeof(int16_t));
  for (size_t i = 0; i < N * K; i++) w[i] = (int8_t)((int)(random_bits() % 255) - 127);
  double *expected = doubles(2 * rows * N), *bound = expected + rows * N;
  for (size_t i = 0; i < rows; i++) {
    double largest = 0;
    for (size_t k = 0; k < K; k++) largest = fmax(largest, fabs((double)*cell(&x, i, k)));
    for (size_t n = 0; n < N; n++) {
      double sum = 0, ties = 0;
      for (size_t k = 0; k < K; k++) {
        const double quanta = *cell(&x, i, k) * 127 / largest;
        sum += nearbyint(quanta) * w[n * K + k];
        if (fabs(fabs(quanta - nearbyint(quanta)) - 0.5) < 1e-4) ties += abs(w[n * K + k]); /* may fall to either side */
      }
      const double unit = largest / 127 * scales.at[n];
      expected[i * N + n] = sum * unit;
      bound[i * N + n] = fabs(unit) * ties + 6 * UNIT * fabs(sum * unit);
    }
  }
  quantized_pack(packed, w, N, K);
  quantized_linear(y.at, y.ld, x.at, x.ld, rows, packed, scales.at, 0, N, K, x16);
  check_output(&y, "y", expected, bound);
  free(expected);
  free(w);
  free(packed);
  free(x16);
  grid_free(&x);
  grid_free(&y);
  grid_free(&scales);
}

static void check_int8(void) {
  const size_t outputs[] = {1, 2, 15, 16, 17, 33, 174};
  for (size_t k = 0; k < LENGTH(input_counts); k++)
    for (size_t n = 0; n < LENGTH(outputs); n++)
      check_exact_integers(1 + (k + n) % 9, outputs[n], (size_t)input_counts[k], (int)(n % 2));
  check_real_numbers();
}
