/* Small passes over rows: sums of columns (bias gradients), gathering and scattering of rows, embedding, dropout. */

/* column_sums: out[n] = sum over rows of y, added to out (N) if `add`; y (R, N) in, row stride ldy. */
static void column_sums(float *restrict out, const float *restrict y, size_t ldy, size_t R, size_t N, int add) {
  size_t n = 0;
  for (; n + 4 * VW <= N; n += 4 * VW) {
    vf a = {0}, b = {0}, c = {0}, d = {0};
    const float *row = y + n;
    for (size_t i = 0; i < R; i++, row += ldy) {
      a += vload(row);
      b += vload(row + VW);
      c += vload(row + 2 * VW);
      d += vload(row + 3 * VW);
    }
    if (add) {
      a += vload(out + n);
      b += vload(out + n + VW);
      c += vload(out + n + 2 * VW);
      d += vload(out + n + 3 * VW);
    }
    vstore(out + n, a);
    vstore(out + n + VW, b);
    vstore(out + n + 2 * VW, c);
    vstore(out + n + 3 * VW, d);
  }
  for (; n < N; n++) {
    float sum = 0;
    for (size_t i = 0; i < R; i++) sum += y[i * ldy + n];
    out[n] = add ? out[n] + sum : sum;
  }
}

/* add_to: to += from, n floats. */
static void add_to(float *restrict to, const float *restrict from, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] += from[i];
}

/* gather_rows: out[i] = x[rows[i]]; scatter_add_rows: x[rows[i]] += y[i], in the order of i. Row strides ldout, ldx. */
static void gather_rows(float *restrict out, size_t ldout, const float *restrict x, size_t ldx, const int32_t *rows,
                        size_t R, size_t C) {
  for (size_t i = 0; i < R; i++) memcpy(out + i * ldout, x + (size_t)rows[i] * ldx, C * sizeof(float));
}
static void scatter_add_rows(float *restrict x, size_t ldx, const float *restrict y, size_t ldy, const int32_t *rows,
                             size_t R, size_t C) {
  for (size_t i = 0; i < R; i++) {
    float *to = x + (size_t)rows[i] * ldx;
    const float *from = y + i * ldy;
    size_t c = 0;
    for (; c + VW <= C; c += VW) vstore(to + c, vload(to + c) + vload(from + c));
    for (; c < C; c++) to[c] += from[c];
  }
}

/* 32 well mixed bits out of a 64-bit counter: the finaliser of SplitMix64, Steele et al. 2014. */
INLINE uint32_t mix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return (uint32_t)((z ^ (z >> 31)) >> 32);
}

/* dropout_rows: out = x * keep / (1 - rate), where keep depends on (seed, step, site, sample, position, channel) alone, so the
 * same numbers fall whatever thread computes the row and however the batch is split. out may be x.
 *   keys (R) one 64-bit key a row: see dropout_key. Srivastava et al. 2014 */
static uint64_t dropout_key(uint32_t seed, uint32_t step, uint32_t sample, uint32_t position) {
  const uint64_t run = ((uint64_t)mix64(seed + 0x9e3779b97f4a7c15ull) << 32) | mix64(step + 0x632be59bd9b4e019ull);
  return run ^ (((uint64_t)sample << 44) | ((uint64_t)position << 24));
}
static void dropout_rows(float *out, size_t ldout, const float *x, size_t ldx, const uint64_t *keys, uint32_t site,
                         float rate, size_t R, size_t C) {
  const uint32_t threshold = (uint32_t)(rate * 4294967296.0);
  const float scale = 1.0f / (1.0f - rate);
  for (size_t i = 0; i < R; i++) {
    const uint64_t key = keys[i] + site * 0x9e3779b97f4a7c15ull;
    for (size_t c = 0; c < C; c++)
      out[i * ldout + c] = mix64(key + c * 0xd1342543de82ef95ull) < threshold ? 0.0f : x[i * ldx + c] * scale;
  }
}
