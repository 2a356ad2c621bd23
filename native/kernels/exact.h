/* exact.h: what must give the same bits on every machine: the sum of gradients, their norm, AdamW. Compiled without fused
 * multiply-add (-ffp-contract=off), so that src/optim, which does the same in JavaScript, agrees to the bit. */
#ifndef LOOM_EXACT_H
#define LOOM_EXACT_H

#include <stddef.h>

struct adamw {
  float lr, beta1, new1, beta2, new2, eps; /* new = 1 - beta */
  float keep;                              /* 1 - lr * weight decay */
  float clip;                              /* factor on the gradient */
  float unbias1, unbias2;                  /* 1 / (1 - beta^step) */
};

struct exact_kernels {
  /* Sums `slots` gradients, `stride` floats apart, over [begin, end) into the first, pair by pair in a fixed binary tree;
   * squares[i] = sum of squares of block i of `block` floats (begin is a multiple of block), in float64. */
  void (*reduce)(float *grads, size_t slots, size_t stride, size_t begin, size_t end, size_t block, double *squares);
  /* Whether none of n floats is NaN or infinite: 1 or 0. */
  int (*all_finite)(const float *x, size_t n);
  /* One AdamW step on n floats, in place. Loshchilov & Hutter 2017, https://arxiv.org/abs/1711.05101 */
  void (*adamw)(float *w, const float *g, float *m, float *v, size_t n, const struct adamw *a);
};

#endif
