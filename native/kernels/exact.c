/* exact.c: compiled once per instruction set like all.c, but without fused multiply-add: all of them give the same bits. */
#include "exact.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 8
#define CHUNK 1024 /* floats of every slot that are summed together: they stay in L1 */

/* Tree: slot i takes slot i + 1 for even i, then i + 2 for multiples of 4, and so on. */
static void sum_chunk(float *grads, size_t slots, size_t stride, size_t n) {
  for (size_t step = 1; step < slots; step *= 2)
    for (size_t i = 0; i + step < slots; i += 2 * step) {
      float *restrict to = grads + i * stride;
      const float *restrict from = grads + (i + step) * stride;
      for (size_t j = 0; j < n; j++) to[j] += from[j];
    }
}

static double sum_of_squares(const float *g, size_t n) {
  double lane[LANES] = {0};
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t j = 0; j < LANES; j++) lane[j] += (double)g[i + j] * (double)g[i + j];
  for (size_t j = 0; i < n; i++, j++) lane[j] += (double)g[i] * (double)g[i];
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static void reduce(float *grads, size_t slots, size_t stride, size_t begin, size_t end, size_t block, double *squares) {
  for (size_t first = begin; first < end; first += block) {
    const size_t last = first + block < end ? first + block : end;
    for (size_t i = first; i < last; i += CHUNK) {
      const size_t n = last - i < CHUNK ? last - i : CHUNK;
      sum_chunk(grads + i, slots, stride, n);
    }
    squares[first / block] = sum_of_squares(grads + first, last - first);
  }
}

/* The exponent of a NaN or an infinity is all ones: one more carries into the sign bit. No branch, so that it vectorises. */
static int all_finite(const float *x, size_t n) {
  uint32_t seen = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    seen |= (bits & 0x7f800000u) + 0x00800000u;
  }
  return seen >> 31 == 0;
}

static void adamw(float *restrict w, const float *restrict g, float *restrict m, float *restrict v, size_t n,
                 const struct adamw *a) {
  const struct adamw s = *a; /* a copy that the stores below can't change */
  for (size_t i = 0; i < n; i++) {
    const float grad = g[i] * s.clip;
    const float m1 = s.beta1 * m[i] + s.new1 * grad;
    const float v1 = s.beta2 * v[i] + s.new2 * (grad * grad);
    m[i] = m1;
    v[i] = v1;
    w[i] = w[i] * s.keep - s.lr * (m1 * s.unbias1 / (sqrtf(v1 * s.unbias2) + s.eps));
  }
}

#define TABLE_OF(isa) exact_##isa
#define TABLE(isa) TABLE_OF(isa)

const struct exact_kernels TABLE(ISA) = {.reduce = reduce, .all_finite = all_finite, .adamw = adamw};
