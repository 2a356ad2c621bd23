/* model.h: the shape of the model and where its parameters lie, as the binding hands them to the kernels. */
#ifndef LOOM_MODEL_H
#define LOOM_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "measure.h"

/* As config.yaml allows. */
#define MAX_LAYERS 128

struct model {
  size_t L, NH, C, V, T;  /* layers, heads, channels, vocabulary, longest sequence */
  int bf16;               /* not 0: linear layers multiply bfloat16 numbers and sum float32 */
  const int32_t *offsets; /* first float of each parameter in the flat vector, in the order of the parameter table */
  const float *weights;   /* flat vector, 64-byte aligned; with quantized matrices, of vectors alone */
  int trains;             /* not 0: packed has panels for backward, too */
  float *packed;          /* panels of all matrices, 64-byte aligned, packed_floats() long; null with quantized ones */
  float *turns;           /* RoPE table (T, C / NH), filled by init() */
};

/* The size of a batch, or of the largest that a scratch has room for; pairs: not 0 if it is a pair, or may be. */
struct capacity {
  size_t rows, scored, sequences;
  int pairs;
};

/* Rows of each micro-batch of a pair, at most. */
#define PAIR_ROWS 256

/* Order of the parameters in the table: the embedding, PARAMETERS_PER_LAYER for each layer, the final norm. */
enum layer_parameter {
  NORM1, QKV_W, QKV_B, PROJ_W, PROJ_B, NORM2, FC1_W, FC1_B, FC2_W, FC2_B,
  PARAMETERS_PER_LAYER
};

/* A packed micro-batch; see PackedBatch in engine.ts. Or a pair of them, one after the other: their gradients are summed
 * apart and then added, so the result is the same to the bit as from one after the other, but is written only once. */
struct batch {
  size_t rows, sequences, scored;
  size_t first_rows, first_scored; /* of the first micro-batch; all where there is no other */
  const int32_t *tokens, *starts, *sample_keys, *scored_rows, *targets;
  const float *row_weights;
};

struct adamw;

/* What an optimizer step works on: flat vectors as long as the weights, and the function that steps n of their floats. */
struct update {
  float *weights;
  const float *grads;
  float *m, *v;
  const struct adamw *settings;
  void (*step)(float *weights, const float *grads, float *m, float *v, size_t n, const struct adamw *settings);
};

struct dropout {
  float rate;
  uint32_t seed, step;
};

/* The matrices as int8: what a model needs of them instead of weights and panels. */
struct quantized {
  const float *scales; /* of each row, matrix after matrix in the order of the table: V + 9 L C */
  int8_t *packed;      /* quantized_bytes() long */
};

/* Matrices in the table: the embedding, which is the head, too, then QUANTIZED_PER_LAYER for each layer. */
#define QUANTIZED_PER_LAYER 4

/* What one instruction set offers. Sizes are the same for all of them. */
struct kernels {
  const char *name;
  size_t (*packed_floats)(const struct model *, int trains);
  void (*init)(const struct model *);
  void (*pack)(const struct model *, size_t rank, size_t ranks);
  /* Steps share `rank` of the weights and packs what it has just changed. */
  void (*update)(const struct model *, size_t rank, size_t ranks, const struct update *);
  size_t (*training_floats)(const struct model *, struct capacity);
  /* losses: of each micro-batch of the pair. */
  void (*forward)(const struct model *, float *scratch, const struct batch *, struct dropout, int keep_for_backward,
                  double losses[2]);
  void (*backward)(const struct model *, float *scratch, const struct batch *, struct dropout, float *grads);
  size_t (*quantized_bytes)(const struct model *);
  /* W: element (row, column) of matrix i of the table is W[row * columns + column] * its row's scale. */
  void (*pack_quantized)(const struct model *, const struct quantized *, size_t i, const int8_t *W);
  size_t (*session_floats)(const struct model *);
  /* Logits (V) after the last of n tokens appended at position `length`, and log(sum(exp(logits))), NaN or infinite if a logit
   * is; quantized may be null. */
  double (*append)(const struct model *, const struct quantized *, float *session, size_t length, const int32_t *tokens,
                   size_t n, float *logits);
  const struct measures *measures;
};

#endif
