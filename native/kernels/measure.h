/* measure.h: what `gpt-loom bench` times: the peaks of one instruction set, and single kernels on operands of given sizes. */
#ifndef LOOM_MEASURE_H
#define LOOM_MEASURE_H

#include <stddef.h>

enum measured_kernel {
  MEASURE_LINEAR,       /* Y = X . W^T   sizes: rows, N, K   operands: X (rows, K), Y (rows, N), W (N, K), panels, scratch of BF16 */
  MEASURE_LINEAR_BACK,  /* X = Y . W     the same */
  MEASURE_LINEAR_GRADS, /* W = Y^T . X   the same */
  MEASURE_LINEAR_BF16,  /* the three with operands rounded to bfloat16, on the same operands */
  MEASURE_LINEAR_BACK_BF16,
  MEASURE_LINEAR_GRADS_BF16,
  MEASURE_ATTENTION,    /* sizes: sequences, T, heads, hs   operands: q, kv, o, lse, dout, dq, dkv, scratch, positions */
  MEASURE_ATTENTION_BACK, /* the same, after MEASURE_ATTENTION on the same arena */
  MEASURE_NORM,         /* sizes: rows, C   operands: x, y, gain, rrms, dx, dgain */
  MEASURE_NORM_BACK,    /* the same, after MEASURE_NORM on the same arena; y is dy */
  MEASURED_KERNELS
};
#define MEASURED_SIZES 4
#define MEASURED_OPERANDS 9

struct measured {
  enum measured_kernel kernel;
  size_t size[MEASURED_SIZES];
};

struct measures {
  /* Runs `rounds` of multiply-adds in registers alone; *result keeps the compiler from leaving them out. Returns their FLOPs. */
  double (*peak_fp32)(size_t rounds, float *result);
  /* The same with bfloat16 operands and FP32 sums; null where the instruction set has none. */
  double (*peak_bf16)(size_t rounds, float *result);
  /* Sum of n floats, so each is read once. */
  float (*read)(const float *x, size_t n);
  /* out = x + y * factor: McCalpin 1995, STREAM triad. */
  void (*triad)(float *out, const float *x, const float *y, float factor, size_t n);
  /* Where in an arena the operands begin, on 64-byte boundaries; returns the floats of them all. Rows of X, Y, q, o, x, y ...
   * lie PAD floats further apart than they are long, as in training. */
  size_t (*layout)(const struct measured *, size_t at[MEASURED_OPERANDS]);
  /* The kernel `times` over. Products: pack != 0 packs the weights into the panels each time, 0 takes those as they are.
   * Gradients have none: FP32 reads both operands as they lie, BF16 makes pairs of both each time, as in training. */
  void (*run)(const struct measured *, float *arena, int pack, size_t times);
};

#endif
