/* Rotary position embedding, rotate-half form, base 10000: Su et al. 2021, https://arxiv.org/abs/2104.09864
 * The pair (x[i], x[i + hs/2]) of a head at position p turns by the angle p * base^(-2i/hs). */

/* rope_table: cosines and sines of every position: table (positions, hs), first hs/2 cosines, then hs/2 sines. */
static void rope_table(float *restrict table, size_t positions, size_t hs) {
  const size_t half = hs / 2;
  for (size_t p = 0; p < positions; p++, table += hs)
    for (size_t i = 0; i < half; i++) {
      const double angle = (double)p * pow(10000.0, -2.0 * (double)i / (double)hs);
      table[i] = (float)cos(angle);
      table[half + i] = (float)sin(angle);
    }
}

/* rope_rotate: turns the heads of one row in place; direction +1 forward, -1 backward (the transpose of a rotation).
 *   x (heads * hs) in and out    turn (hs) row of the table for the row's position */
static void rope_rotate(float *restrict x, const float *restrict turn, size_t heads, size_t hs, float direction) {
  const size_t half = hs / 2;
  for (size_t h = 0; h < heads; h++, x += hs) {
    size_t i = 0;
    for (; i + VW <= half; i += VW) {
      const vf cosine = vload(turn + i), sine = vload(turn + half + i) * direction;
      const vf a = vload(x + i), b = vload(x + half + i);
      vstore(x + i, a * cosine - b * sine);
      vstore(x + half + i, b * cosine + a * sine);
    }
    for (; i < half; i++) {
      const float cosine = turn[i], sine = turn[half + i] * direction, a = x[i], b = x[half + i];
      x[i] = a * cosine - b * sine;
      x[half + i] = b * cosine + a * sine;
    }
  }
}
