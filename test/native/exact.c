/* exact.c: tests of native/kernels/exact.c, compiled with its flags: without fused multiply-add these loops give the same bits. */
#include "../../native/kernels/exact.c"

#include "check.h"

void check_exact(void);

/* The binary tree over slots first ... first + width - 1, width a power of 2. */
static float tree(const struct grid *g, size_t first, size_t width, size_t at) {
  if (width == 1) return *cell(g, first, at);
  const float left = tree(g, first, width / 2, at);
  return first + width / 2 < g->rows ? left + tree(g, first + width / 2, width / 2, at) : left;
}

static void check_reduce(size_t slots, size_t n, size_t block, size_t first_block) {
  const size_t begin_at = first_block * block, end = n - 2, blocks = (end + block - 1) / block;
  begin("reduce of %zu slots, floats %zu to %zu, blocks of %zu", slots, begin_at, end, block);
  struct grid grads = grid_random(slots, n, n + 5, 0), before = grid_new(slots, n, n + 5, 0);
  memcpy(before.block, grads.block, grads.words * sizeof(uint32_t));
  double *squares = doubles(blocks + 1);
  for (size_t b = 0; b <= blocks; b++) squares[b] = -1;
  reduce(grads.at, slots, grads.ld, begin_at, end, block, squares);

  uint32_t *expected = allocate(n * sizeof(uint32_t)), *got = allocate(n * sizeof(uint32_t));
  size_t width = 1;
  while (width < slots) width *= 2;
  for (size_t i = 0; i < n; i++) {
    expected[i] = bits_of(i >= begin_at && i < end ? tree(&before, 0, width, i) : *cell(&before, 0, i));
    got[i] = bits_of(grads.at[i]);
  }
  check_words("sums", got, expected, n);
  int outside = 1;
  for (size_t s = 0; s < slots; s++)
    for (size_t i = 0; i < n; i++)
      if (i < begin_at || i >= end) outside &= *cell(&grads, s, i) == *cell(&before, s, i);
  check(outside, "floats outside the range were written");
  check_guards(&grads, "gradients");

  for (size_t b = 0; b < blocks; b++) {
    double lane[8] = {0};
    for (size_t i = b * block; i < end && i < (b + 1) * block; i++) {
      const double g = grads.at[i];
      lane[(i - b * block) % 8] += g * g;
    }
    const double sum = b < first_block ? -1 : ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
    check(squares[b] == sum, "squares of block %zu: %.17g, expected %.17g", b, squares[b], sum);
  }
  check(squares[blocks] == -1, "squares behind the last block were written");
  free(expected);
  free(got);
  free(squares);
  grid_free(&grads);
  grid_free(&before);
}

static void check_adamw(size_t n) {
  begin("adamw of %zu", n);
  const struct adamw a = {.lr = 1e-3f, .beta1 = 0.9f, .new1 = 0.1f, .beta2 = 0.95f, .new2 = 0.05f, .eps = 1e-8f,
                          .keep = 0.9999f, .clip = 0.37f, .unbias1 = 3.69f, .unbias2 = 7.01f};
  struct grid w = grid_random(1, n, n, 0), g = grid_random(1, n, n, 0), m = grid_random(1, n, n, 0), v = grid_random(1, n, n, 0);
  uint32_t *expected = allocate(3 * n * sizeof(uint32_t));
  double worst = 0;
  for (size_t i = 0; i < n; i++) {
    v.at[i] = i % 5 == 0 ? 0 : fabsf(v.at[i]);
    if (i % 7 == 0) g.at[i] = 0;
    const float grad = g.at[i] * a.clip;
    const float mean = a.beta1 * m.at[i] + a.new1 * grad, square = a.beta2 * v.at[i] + a.new2 * (grad * grad);
    const float step = mean * a.unbias1 / (sqrtf(square * a.unbias2) + a.eps);
    const float moved = w.at[i] * a.keep - a.lr * step;
    expected[i] = bits_of(moved);
    expected[n + i] = bits_of(mean);
    expected[2 * n + i] = bits_of(square);
    const double slow = (double)w.at[i] * a.keep - (double)a.lr * ((double)mean * a.unbias1) / (sqrt((double)square * a.unbias2) + (double)a.eps);
    worst = fmax(worst, fabs(moved - slow) / (fabs(slow) + (double)a.lr * fabs((double)step) + 1e-30));
  }
  check(worst < 8 * UNIT, "the float32 loop is off by %.3g", worst);
  adamw(w.at, g.at, m.at, v.at, n, &a);
  check_words("weights", (const uint32_t *)(const void *)w.at, expected, n);
  check_words("m", (const uint32_t *)(const void *)m.at, expected + n, n);
  check_words("v", (const uint32_t *)(const void *)v.at, expected + 2 * n, n);
  check_guards(&w, "weights");
  check_guards(&m, "m");
  check_guards(&v, "v");
  free(expected);
  grid_free(&w);
  grid_free(&g);
  grid_free(&m);
  grid_free(&v);
}

void check_exact(void) {
  const size_t slot_counts[] = {1, 2, 3, 4, 5, 7, 8, 13};
  for (size_t s = 0; s < LENGTH(slot_counts); s++) {
    check_reduce(slot_counts[s], 47, 13, 0);
    check_reduce(slot_counts[s], 3000, CHUNK + 100, 1);
  }
  const size_t lengths[] = {1, 3, 7, 8, 9, 16, 17, 100};
  for (size_t i = 0; i < LENGTH(lengths); i++) check_adamw(lengths[i]);
}
