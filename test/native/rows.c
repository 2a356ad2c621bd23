/* rows.c: tests of the passes over rows: sums of columns, gathering, scattering, dropout, and the small loops of infer.c. */

static void check_column_sums(void) {
  const size_t rows_of[] = {1, 2, 7, 174}, columns_of[] = {1, 3, VW, 4 * VW - 1, 4 * VW, 4 * VW + 1, 9 * VW + 2};
  for (size_t r = 0; r < LENGTH(rows_of); r++)
    for (size_t n = 0; n < LENGTH(columns_of); n++) {
      const size_t R = rows_of[r], N = columns_of[n];
      begin("column_sums of %zu rows of %zu", R, N);
      struct grid y = grid_random(R, N, N + 3, 0), out = grid_new(1, N, N, 0);
      double *sums = doubles(2 * N), *bound = sums + N;
      for (size_t j = 0; j < N; j++) {
        sums[j] = bound[j] = 0;
        for (size_t i = 0; i < R; i++) {
          sums[j] += *cell(&y, i, j);
          bound[j] += (double)R * UNIT * fabs((double)*cell(&y, i, j));
        }
      }
      column_sums(out.at, y.at, y.ld, R, N, 0);
      check_output(&out, "sums", sums, bound);
      column_sums(out.at, y.at, y.ld, R, N, 1);
      for (size_t j = 0; j < 2 * N; j++) sums[j] *= 2;
      check_output(&out, "sums added to sums", sums, bound);
      free(sums);
      grid_free(&y);
      grid_free(&out);
    }
}

/* Rows named twice get both; exact, since the sums are done in float32 in the order of the rows. */
static void check_gather_and_scatter(void) {
  static const int32_t rows[] = {4, 0, 4, 2, 5, 4};
  const size_t R = LENGTH(rows), columns_of[] = {1, VW - 1, VW, VW + 1, 3 * VW + 2};
  for (size_t n = 0; n < LENGTH(columns_of); n++) {
    const size_t C = columns_of[n];
    begin("rows of %zu", C);
    struct grid x = grid_random(6, C, C + 2, 0), y = grid_random(R, C, C + 1, 0), out = grid_new(R, C, C + 3, 0);
    gather_rows(out.at, out.ld, x.at, x.ld, rows, R, C);
    int same = 1;
    for (size_t i = 0; i < R; i++) same &= memcmp(cell(&out, i, 0), cell(&x, (size_t)rows[i], 0), C * sizeof(float)) == 0;
    check(same, "gather_rows");
    check_guards(&out, "gather_rows");
    float *expected = allocate(6 * C * sizeof(float));
    for (size_t i = 0; i < 6; i++) memcpy(expected + i * C, cell(&x, i, 0), C * sizeof(float));
    for (size_t i = 0; i < R; i++)
      for (size_t c = 0; c < C; c++) expected[(size_t)rows[i] * C + c] += *cell(&y, i, c);
    scatter_add_rows(x.at, x.ld, y.at, y.ld, rows, R, C);
    for (size_t i = 0; i < 6; i++) same &= memcmp(expected + i * C, cell(&x, i, 0), C * sizeof(float)) == 0;
    check(same, "scatter_add_rows");
    check_guards(&x, "scatter_add_rows");

    add_rows(out.at, out.ld, y.at, y.ld, R, C);
    int added = 1;
    for (size_t i = 0; i < R; i++)
      for (size_t c = 0; c < C; c++) added &= isfinite(*cell(&out, i, c));
    check(added, "add_rows");
    check_guards(&out, "add_rows");
    double *silu = doubles(2 * R * C), *bound = silu + R * C;
    for (size_t i = 0; i < R; i++)
      for (size_t c = 0; c < C; c++) {
        const double value = *cell(&out, i, c);
        silu[i * C + c] = value / (1 + exp(-value));
        bound[i * C + c] = 1e-6 * fabs(silu[i * C + c]);
      }
    silu_rows(out.at, out.ld, R, C);
    check_output(&out, "silu_rows", silu, bound);
    free(silu);
    free(expected);
    grid_free(&x);
    grid_free(&y);
    grid_free(&out);
  }
}

/* SplitMix64 once more: its finaliser, as the paper gives it, upper half. */
static uint32_t split_mix(uint64_t z) {
  z ^= z >> 30;
  z *= 13787848793156543929ull;
  z ^= z >> 27;
  z *= 10723151780598845931ull;
  z ^= z >> 31;
  return (uint32_t)(z / 4294967296ull);
}

/* The documented function of (seed, step, site, sample, position, channel). */
static int is_dropped(uint32_t seed, uint32_t step, uint32_t site, uint32_t sample, uint32_t position, size_t channel,
                      double rate) {
  const uint64_t golden = 11400714819323198485ull;
  const uint64_t run = split_mix(seed + golden) * 4294967296ull + split_mix(step + 0x632be59bd9b4e019ull);
  const uint64_t row = run ^ ((uint64_t)sample * (1ull << 44) + (uint64_t)position * (1ull << 24));
  return split_mix(row + site * golden + channel * 0xd1342543de82ef95ull) / 4294967296.0 < rate;
}

static void check_dropout(void) {
  begin("mix64");
  /* The first number of SplitMix64 with seed 0 is e220a8397b1dcdaf. */
  check(mix64(0x9e3779b97f4a7c15ull) == 0xe220a839u, "%08x", (unsigned)mix64(0x9e3779b97f4a7c15ull));

  const size_t R = 96, C = 173;
  const uint32_t seed = 7, step = 1234567;
  struct grid x = grid_random(R, C, C + 3, 0), out = grid_new(R, C, C + 2, 0);
  uint64_t *keys = allocate(R * sizeof(uint64_t));
  for (size_t i = 0; i < R; i++) keys[i] = dropout_key(seed, step, (uint32_t)(i % 16), (uint32_t)(i / 16));
  const float rates[] = {0.1f, 0.5f, 0.9f};
  for (size_t t = 0; t < LENGTH(rates); t++)
    for (uint32_t site = 0; site < 3; site++) {
      const float rate = rates[t];
      begin("dropout_rows at rate %g, site %u", (double)rate, (unsigned)site);
      dropout_rows(out.at, out.ld, x.at, x.ld, keys, site, rate, R, C);
      check_guards(&out, "out");
      size_t dropped = 0, other = 0, repeated = 0, wrong = 0;
      for (size_t i = 0; i < R; i++)
        for (size_t c = 0; c < C; c++) {
          const int drop = is_dropped(seed, step, site, (uint32_t)(i % 16), (uint32_t)(i / 16), c, (double)rate);
          const double expected = drop ? 0 : *cell(&x, i, c) / (1 - (double)rate);
          wrong += !(fabs(*cell(&out, i, c) - expected) <= 4 * UNIT * fabs(expected));
          dropped += (size_t)drop;
          other += drop != is_dropped(seed, step, site + 1, (uint32_t)(i % 16), (uint32_t)(i / 16), c, (double)rate);
          repeated += drop != is_dropped(seed, step + 1, site, (uint32_t)(i % 16), (uint32_t)(i / 16), c, (double)rate);
        }
      check(wrong == 0, "%zu of %zu numbers differ from the formula", wrong, R * C);
      /* Independent draws: within five standard deviations. */
      const double n = (double)(R * C), r = (double)rate, both = 2 * r * (1 - r);
      check(fabs((double)dropped - n * r) < 5 * sqrt(n * r * (1 - r)), "%zu of %zu dropped", dropped, R * C);
      check(fabs((double)other - n * both) < 5 * sqrt(n * both * (1 - both)), "the next site drops %zu others", other);
      check(fabs((double)repeated - n * both) < 5 * sqrt(n * both * (1 - both)), "the next step drops %zu others", repeated);
    }
  begin("dropout_rows in place");
  struct grid copy = grid_new(R, C, C + 3, 0);
  memcpy(copy.block, x.block, x.words * sizeof(uint32_t));
  dropout_rows(copy.at, copy.ld, copy.at, copy.ld, keys, 2, rates[2], R, C);
  int same = 1;
  for (size_t i = 0; i < R; i++) same &= memcmp(cell(&copy, i, 0), cell(&out, i, 0), C * sizeof(float)) == 0;
  check(same, "differs from out of place");
  begin("dropout_key");
  size_t equal = 0;
  for (size_t i = 0; i < R; i++)
    for (size_t j = 0; j < i; j++) equal += keys[i] == keys[j];
  check(equal == 0, "%zu pairs of rows have the same key", equal);
  free(keys);
  grid_free(&x);
  grid_free(&copy);
  grid_free(&out);
}

static void check_rows(void) {
  check_column_sums();
  check_gather_and_scatter();
  check_dropout();
}
