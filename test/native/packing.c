/* packing.c: tests of the packers of panels.c and packing.c, bit for bit, and of the rounding to bfloat16. */

/* Hardware takes denormals for 0 when it rounds, software keeps them: either is right. */
static int is_rounded(uint16_t got, float x) {
  const uint16_t nearest = nearest_bf16(x);
  return got == nearest || (fpclassify(x) == FP_SUBNORMAL && got == (nearest & 0x8000));
}

static const uint32_t special_bits[] = {
    0x00000000, 0x80000000, 0x3f800000, 0x3f808000, 0x3f818000, 0xbf808000, 0xbf818000, /* 1, ties to even down and up */
    0x3f808001, 0x3f807fff, 0x3f817fff, 0x3fffffff, 0x7f7fffff, 0xff7fffff, 0x7f7f7fff, /* beside ties; carries; overflow */
    0x7f7f8000, 0x7f800000, 0xff800000, 0x7f800001, 0xffffffff, 0x7fc00000, 0x7fffffff, /* infinities and NaNs */
    0x00000001, 0x80000001, 0x00008000, 0x00018000, 0x007fffff, 0x807fffff, 0x00800000  /* denormals, the least normal */
};
static float special(size_t i) {
  const size_t n = LENGTH(special_bits);
  return i % (n + 3) < n ? float_of(special_bits[i % (n + 3)]) : float_of(random_bits() << 1);
}

/* The numbers in every place of a row and a panel, so that all of the vector and of the scalar paths meet them. */
static void check_rounding(void) {
  const size_t n = 40 * (LENGTH(special_bits) > NR ? LENGTH(special_bits) : NR) + 1;
  float *x = allocate(n * sizeof(float));
  uint32_t *row = allocate(pairs_of(n) * sizeof(uint32_t));
  for (size_t i = 0; i < n; i++) x[i] = special(i);
  begin("round_row");
  round_row(row, x, n);
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < n; i++)
    if (!is_rounded((uint16_t)(row[i / 2] >> (i % 2 * 16)), x[i]) && wrong++ == 0) first = i;
  check(wrong == 0, "%zu wrong, the first: %08x became %04x", wrong, (unsigned)bits_of(x[first]),
        (unsigned)(row[first / 2] >> (first % 2 * 16) & 0xffff));
  check(row[n / 2] >> 16 == 0, "something stands behind an odd length");
  free(row);

  begin("pair_rows, rounding");
  const size_t width = NR - 1, K = 40;
  uint32_t *panel = allocate(K / 2 * NR * sizeof(uint32_t));
  pair_rows(panel, NR, x, width, K, width, NR, TO_CACHE);
  wrong = 0;
  for (size_t i = 0; i < K * width; i++) {
    const uint16_t got = (uint16_t)(panel[i / width / 2 * NR + i % width] >> (i / width % 2 * 16));
    if (!is_rounded(got, x[i]) && wrong++ == 0) first = i;
  }
  check(wrong == 0, "%zu wrong, the first from %08x", wrong, (unsigned)bits_of(x[first]));
  free(panel);
  free(x);
}

/* W (N, K) as the packers read it, without gaps. */
static void check_panels(size_t N, size_t K) {
  struct grid w = grid_random(N, K, K, 0);
  const size_t wide = round_up(K, NR), tall = round_up(N, NR), pairs_k = pairs_of(K), pairs_n = pairs_of(N);
  struct grid out = grid_aligned(N * wide), turned = grid_aligned(tall * K);
  struct grid rows = grid_new(1, N * wide, N * wide, 0);
  struct grid pair = grid_aligned(pairs_n * wide), pair_turned = grid_aligned(pairs_k * tall);
#define WORDS(g) ((uint32_t *)(void *)(g).at)
  const struct matrix_view fp32 = {w.at, N, K, turned.at, out.at, 0}, bf16 = {w.at, N, K, pair_turned.at, pair.at, 1};
  for (size_t p = 0; p * NR < N; p++) {
    pack_row_group(&(struct model){.bf16 = 0}, &fp32, p);
    pack_row_group(&(struct model){.bf16 = 1}, &bf16, p);
  }
  pack_rows(rows.at, w.at, N, K, K, TO_CACHE);

  const size_t most = (N > K ? N : K) * round_up(N > K ? N : K, NR);
  uint32_t *expected = allocate(most * sizeof(uint32_t)), *expected_pairs = allocate(most * sizeof(uint32_t));
  memset(expected, 0, most * sizeof(uint32_t));
  memset(expected_pairs, 0, most * sizeof(uint32_t));
  for (size_t n = 0; n < N; n++)
    for (size_t k = 0; k < K; k++) {
      expected[k / NR * NR * N + n * NR + k % NR] = bits_of(*cell(&w, n, k));
      expected_pairs[k / NR * NR * pairs_n + n / 2 * NR + k % NR] |= (uint32_t)nearest_bf16(*cell(&w, n, k)) << (n % 2 * 16);
    }
  check_words("panels of W", WORDS(out), expected, N * wide);
  check_words("pack_rows", WORDS(rows), expected, N * wide);
  check_words("pairs of W", WORDS(pair), expected_pairs, pairs_n * wide);
  memset(expected, 0, most * sizeof(uint32_t));
  memset(expected_pairs, 0, most * sizeof(uint32_t));
  for (size_t n = 0; n < N; n++)
    for (size_t k = 0; k < K; k++) {
      expected[n / NR * NR * K + k * NR + n % NR] = bits_of(*cell(&w, n, k));
      expected_pairs[n / NR * NR * pairs_k + k / 2 * NR + n % NR] |= (uint32_t)nearest_bf16(*cell(&w, n, k)) << (k % 2 * 16);
    }
  check_words("pack_panel_transposed", WORDS(turned), expected, tall * K);
  check_words("pair_panel_transposed", WORDS(pair_turned), expected_pairs, pairs_k * tall);
#undef WORDS
  check_guards(&out, "pack_panel");
  check_guards(&rows, "pack_rows");
  check_guards(&turned, "pack_panel_transposed");
  check_guards(&pair, "pair_panel");
  check_guards(&pair_turned, "pair_panel_transposed");
  free(expected);
  free(expected_pairs);
  grid_free(&w);
  grid_free(&out);
  grid_free(&rows);
  grid_free(&turned);
  grid_free(&pair);
  grid_free(&pair_turned);
}

/* Rows further apart than they are wide. */
static void check_strides(void) {
  begin("packers of strided rows");
  const size_t K = 7, N = NR + 5;
  struct grid x = grid_random(K, N, N + 4, 0), out = grid_new(1, 2 * NR * K, 2 * NR * K, 0);
  struct grid pairs = grid_new(1, NR * 4, NR * 4, 0), turned = grid_new(1, NR * 5, NR * 5, 0);
  pack_rows(out.at, x.at, K, N, x.ld, TO_CACHE);
  pair_rows((uint32_t *)(void *)pairs.at, NR, x.at, x.ld, K, 5, NR, TO_CACHE);
  pack_transposed(turned.at, x.at, x.ld, K < NR ? K : NR, 5, TO_CACHE);
  int rows_ok = 1, pairs_ok = 1, turned_ok = 1;
  for (size_t k = 0; k < K; k++)
    for (size_t j = 0; j < 2 * NR; j++)
      rows_ok &= out.at[j / NR * NR * K + k * NR + j % NR] == (j < N ? *cell(&x, k, j) : 0);
  for (size_t k = 0; k < 8; k++)
    for (size_t j = 0; j < NR; j++) {
      const uint32_t got = bits_of(pairs.at[k / 2 * NR + j]) >> (k % 2 * 16) & 0xffff;
      pairs_ok &= got == (k < K && j < 5 ? nearest_bf16(*cell(&x, k, j)) : 0);
    }
  for (size_t k = 0; k < 5; k++)
    for (size_t j = 0; j < NR; j++) turned_ok &= turned.at[k * NR + j] == (j < K ? *cell(&x, j, k) : 0);
  check(rows_ok, "pack_rows");
  check(pairs_ok, "pair_rows");
  check(turned_ok, "pack_transposed");
  check_guards(&out, "pack_rows");
  check_guards(&pairs, "pair_rows");
  check_guards(&turned, "pack_transposed");
  grid_free(&x);
  grid_free(&out);
  grid_free(&pairs);
  grid_free(&turned);
}

static void check_packing(void) {
  check_rounding();
  for (size_t n = 0; n < LENGTH(widths); n++)
    for (size_t k = 0; k < LENGTH(widths); k++) {
      begin("packers, N %zu, K %zu", widths[n], widths[k]);
      check_panels(widths[n], widths[k]);
    }
  check_strides();
}
