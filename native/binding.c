/* binding.c: the kernels as functions for JavaScript, through N-API alone. Checks lengths, alignment and indices, then calls;
 * a failed check becomes a JavaScript exception. Keeps no state of its own: every thread loads the addon for itself.
 * Arrays that JavaScript passes to a constructor are held by a reference until the object is collected. */
#define NAPI_VERSION 8
#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "arguments.h"
#include "variants.h"

#define ALIGNMENT 64

enum kind { KIND_MODEL = 0x4c4f4f31, KIND_TRAINING, KIND_QUANTIZED, KIND_SESSION };

/* The head of everything that JavaScript holds as an external. */
struct object {
  enum kind kind;
};
static void *object_of(napi_env env, napi_value value, enum kind kind) {
  napi_valuetype type;
  void *data = NULL;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external ||
      napi_get_value_external(env, value, &data) != napi_ok || ((struct object *)data)->kind != kind) {
    fail(env, "expected another kind of native object");
    return NULL;
  }
  return data;
}

static void *aligned_floats(size_t floats) {
  const size_t bytes = (floats * sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  return aligned_alloc(ALIGNMENT, bytes > 0 ? bytes : ALIGNMENT);
}
static bool is_aligned(const void *p) { return (uintptr_t)p % ALIGNMENT == 0; }

/* The kernels named by the argument, '' for the fastest; null (with an exception) for a name that isn't there. */
static const struct kernels *kernels_of(napi_env env, napi_value value) {
  char isa[16] = "";
  size_t length;
  if (napi_get_value_string_utf8(env, value, isa, sizeof isa, &length) != napi_ok) {
    fail(env, "isa must be a string");
    return NULL;
  }
  const struct kernels *found[MAX_VARIANTS];
  const size_t n = supported_kernels(found);
  for (size_t i = 0; i < n; i++)
    if (length == 0 || strcmp(found[i]->name, isa) == 0) return found[i];
  fail(env, "this CPU or this build doesn't have that instruction set");
  return NULL;
}

/* ---- model ---------------------------------------------------------------------------------------------------------- */

struct model_object {
  struct object head;
  struct model m;
  const struct kernels *kernels;
  napi_ref held[3]; /* offsets, weights, packed */
};

static void release(napi_env env, napi_ref ref) {
  if (ref) napi_delete_reference(env, ref);
}

static void finalize_model(napi_env env, void *data, void *hint) {
  (void)hint;
  struct model_object *o = data;
  for (int i = 0; i < 3; i++) release(env, o->held[i]);
  free(o->m.turns);
  free(o);
}

/* nLayer, nHead, nEmbd, vocabSize, seqLen in an Int32Array. */
static bool shape_of(napi_env env, napi_value value, struct model *m) {
  struct view v;
  if (!view_of(env, value, napi_int32_array, "shape", &v)) return false;
  const int32_t *n = v.data;
  if (v.length != 5) return fail(env, "shape needs 5 numbers"), false;
  for (int i = 0; i < 5; i++)
    if (n[i] < 1) return fail(env, "every number of the shape must be at least 1"), false;
  *m = (struct model){.L = (size_t)n[0], .NH = (size_t)n[1], .C = (size_t)n[2], .V = (size_t)n[3], .T = (size_t)n[4]};
  if (m->L > MAX_LAYERS) return fail(env, "at most 128 layers"), false;
  if (m->C % m->NH != 0 || m->C / m->NH % 2 != 0)
    return fail(env, "nEmbd must be a multiple of nHead, and nEmbd / nHead even"), false;
  return true;
}

/* packedFloats(shape, trains): number */
static napi_value packed_floats(napi_env env, napi_callback_info info) {
  napi_value argv[2], result;
  struct model m;
  bool trains;
  if (!arguments(env, info, 2, argv) || !shape_of(env, argv[0], &m)) return NULL;
  if (napi_get_value_bool(env, argv[1], &trains) != napi_ok) return fail(env, "trains must be true or false");
  napi_create_double(env, (double)kernels_plain.packed_floats(&m, trains ? 1 : 0), &result);
  return result;
}

/* createModel(isa, shape, offsets, weights, packed, bf16): external. isa '' takes the fastest. The length of packed decides
 * whether it can be trained. */
static napi_value create_model(napi_env env, napi_callback_info info) {
  napi_value argv[6], result;
  struct model m;
  struct view offsets, weights, packed;
  bool bf16;
  const struct kernels *kernels;
  if (!arguments(env, info, 6, argv) || !shape_of(env, argv[1], &m) ||
      !view_of(env, argv[2], napi_int32_array, "offsets", &offsets) ||
      !view_of(env, argv[3], napi_float32_array, "weights", &weights) ||
      !view_of(env, argv[4], napi_float32_array, "packed", &packed))
    return NULL;
  if (!(kernels = kernels_of(env, argv[0]))) return NULL;
  if (napi_get_value_bool(env, argv[5], &bf16) != napi_ok) return fail(env, "bf16 must be true or false");
  m.bf16 = bf16 ? 1 : 0;
  if (offsets.length != m.L * PARAMETERS_PER_LAYER + 2) return fail(env, "offsets: wrong number of parameters");
  const int32_t *at = offsets.data;
  for (size_t i = 0; i < offsets.length; i++)
    if (at[i] < 0 || at[i] % 16 != 0) return fail(env, "offsets: not multiples of 16");
  if (weights.length < (size_t)at[offsets.length - 1] + m.C) return fail(env, "weights: shorter than the offsets say");
  m.trains = packed.length >= kernels->packed_floats(&m, 1);
  if (packed.length < kernels->packed_floats(&m, 0)) return fail(env, "packed: shorter than packedFloats(shape)");
  if (!is_aligned(weights.data) || !is_aligned(packed.data)) return fail(env, "weights, packed: not on 64 bytes");

  struct model_object *o = calloc(1, sizeof *o);
  if (!o) return fail(env, "out of memory");
  m.turns = aligned_floats(m.T * (m.C / m.NH));
  if (!m.turns) {
    free(o);
    return fail(env, "out of memory");
  }
  m.offsets = at;
  m.weights = weights.data;
  m.packed = packed.data;
  *o = (struct model_object){.head = {KIND_MODEL}, .m = m, .kernels = kernels};
  kernels->init(&o->m);
  for (int i = 0; i < 3; i++) napi_create_reference(env, argv[2 + i], 1, &o->held[i]);
  if (napi_create_external(env, o, finalize_model, NULL, &result) != napi_ok) {
    finalize_model(env, o, NULL);
    return fail(env, "no room for the model");
  }
  return result;
}

/* modelIsa(model): string */
static napi_value model_isa(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  struct model_object *o;
  if (!arguments(env, info, 1, argv) || !(o = object_of(env, argv[0], KIND_MODEL))) return NULL;
  napi_create_string_utf8(env, o->kernels->name, NAPI_AUTO_LENGTH, &result);
  return result;
}

/* pack(model, rank, ranks): derives share `rank` of the packed matrices from the weights. */
static napi_value pack(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  struct model_object *o;
  size_t rank, ranks;
  if (!arguments(env, info, 3, argv) || !(o = object_of(env, argv[0], KIND_MODEL)) || !size_of(env, argv[1], &rank) ||
      !size_of(env, argv[2], &ranks))
    return NULL;
  if (rank >= ranks) return fail(env, "rank must be below ranks");
  o->kernels->pack(&o->m, rank, ranks);
  return NULL;
}

/* ---- training ------------------------------------------------------------------------------------------------------- */

struct training_object {
  struct object head;
  struct model_object *model;
  napi_ref held;
  struct capacity room;
  float *scratch;
  struct batch batch; /* of the last forward: backward reads it again */
  struct dropout dropout;
  bool can_go_back;
};

static void finalize_training(napi_env env, void *data, void *hint) {
  (void)hint;
  struct training_object *o = data;
  release(env, o->held);
  free(o->scratch);
  free(o);
}

/* createTraining(model, maxRows, maxScored, maxSequences, pairs): external */
static napi_value create_training(napi_env env, napi_callback_info info) {
  napi_value argv[5], result;
  struct model_object *model;
  struct capacity room;
  bool pairs;
  if (!arguments(env, info, 5, argv) || !(model = object_of(env, argv[0], KIND_MODEL)) ||
      !size_of(env, argv[1], &room.rows) || !size_of(env, argv[2], &room.scored) ||
      !size_of(env, argv[3], &room.sequences))
    return NULL;
  if (napi_get_value_bool(env, argv[4], &pairs) != napi_ok) return fail(env, "pairs must be true or false");
  room.pairs = pairs ? 1 : 0;
  if (!model->m.trains) return fail(env, "packed: long enough for inference only");
  struct training_object *o = calloc(1, sizeof *o);
  if (!o) return fail(env, "out of memory");
  *o = (struct training_object){.head = {KIND_TRAINING}, .model = model, .room = room};
  o->scratch = aligned_floats(model->kernels->training_floats(&model->m, room));
  napi_create_reference(env, argv[0], 1, &o->held);
  if (!o->scratch || napi_create_external(env, o, finalize_training, NULL, &result) != napi_ok) {
    finalize_training(env, o, NULL);
    return fail(env, "out of memory for the activations of a micro-batch");
  }
  return result;
}

/* The rules of PackedBatch; the first that is broken, or NULL. */
static const char *batch_problem(const struct batch *b, const struct model *m, const struct capacity *room) {
  if (b->rows > room->rows || b->scored > room->scored || b->sequences > room->sequences)
    return "the micro-batch is larger than the scratch was made for";
  if (b->starts[0] != 0 || (size_t)b->starts[b->sequences] != b->rows) return "seqStarts must run from 0 to the number of tokens";
  for (size_t s = 0; s < b->sequences; s++)
    if (b->starts[s + 1] <= b->starts[s] || (size_t)(b->starts[s + 1] - b->starts[s]) > m->T)
      return "a sequence is empty or longer than seqLen";
  for (size_t i = 0; i < b->rows; i++)
    if (b->tokens[i] < 0 || (size_t)b->tokens[i] >= m->V) return "a token id is outside the vocabulary";
  for (size_t i = 0; i < b->scored; i++) {
    if (b->targets[i] < 0 || (size_t)b->targets[i] >= m->V) return "a target is outside the vocabulary";
    if (b->scored_rows[i] < 0 || (size_t)b->scored_rows[i] >= b->rows ||
        (i > 0 && b->scored_rows[i] <= b->scored_rows[i - 1]))
      return "scoredRows must ascend within the tokens";
  }
  return NULL;
}

/* The batch's division into a pair of micro-batches: `sequences` of the first; what is wrong with it, or NULL. */
static const char *divide(struct batch *b, size_t sequences, const struct capacity *room) {
  b->first_rows = b->rows;
  b->first_scored = b->scored;
  if (sequences == b->sequences) return NULL;
  if (sequences == 0 || sequences > b->sequences) return "the first micro-batch of a pair needs a sequence";
  b->first_rows = (size_t)b->starts[sequences];
  if (!room->pairs || b->first_rows > PAIR_ROWS || b->rows - b->first_rows > PAIR_ROWS)
    return "the scratch was not made for a pair of this size";
  while (b->first_scored > 0 && (size_t)b->scored_rows[b->first_scored - 1] >= b->first_rows) b->first_scored--;
  return NULL;
}

/* forward(training, tokens, seqStarts, sampleKeys, scoredRows, targets, weights, rate, seed, step, keep, first, losses): the
 * losses of both micro-batches of a pair go to the Float64Array; `first`: sequences of the first one (all: no pair).
 * With keep, the arrays must stay as they are until backward. */
static napi_value forward(napi_env env, napi_callback_info info) {
  napi_value argv[13];
  struct training_object *o;
  struct view tokens, starts, keys, rows, targets, weights, losses;
  double rate, seed, step;
  size_t first;
  bool keep;
  if (!arguments(env, info, 13, argv) || !(o = object_of(env, argv[0], KIND_TRAINING)) ||
      !view_of(env, argv[1], napi_int32_array, "tokens", &tokens) ||
      !view_of(env, argv[2], napi_int32_array, "seqStarts", &starts) ||
      !view_of(env, argv[3], napi_int32_array, "sampleKeys", &keys) ||
      !view_of(env, argv[4], napi_int32_array, "scoredRows", &rows) ||
      !view_of(env, argv[5], napi_int32_array, "targets", &targets) ||
      !view_of(env, argv[6], napi_float32_array, "weights", &weights) || !number_of(env, argv[7], &rate) ||
      !number_of(env, argv[8], &seed) || !number_of(env, argv[9], &step) || !size_of(env, argv[11], &first) ||
      !view_of(env, argv[12], napi_float64_array, "losses", &losses))
    return NULL;
  if (napi_get_value_bool(env, argv[10], &keep) != napi_ok) return fail(env, "keep must be true or false");
  if (!(rate >= 0 && rate < 1)) return fail(env, "the dropout rate must be at least 0 and below 1");
  if (starts.length < 2 || keys.length != starts.length - 1 || targets.length != rows.length ||
      weights.length != rows.length)
    return fail(env, "the arrays of the micro-batch don't fit each other");
  struct batch b = {.rows = tokens.length, .sequences = keys.length, .scored = rows.length, .tokens = tokens.data,
                          .starts = starts.data, .sample_keys = keys.data, .scored_rows = rows.data,
                          .targets = targets.data, .row_weights = weights.data};
  const char *problem = batch_problem(&b, &o->model->m, &o->room);
  if (!problem) problem = divide(&b, first, &o->room);
  if (problem) return fail(env, problem);
  if (losses.length < (b.first_rows < b.rows ? 2 : 1)) return fail(env, "losses: shorter than the micro-batches");
  o->batch = b;
  o->dropout = (struct dropout){(float)rate, (uint32_t)(int64_t)seed, (uint32_t)(int64_t)step};
  o->can_go_back = keep;
  double both[2];
  o->model->kernels->forward(&o->model->m, o->scratch, o->room, &o->batch, o->dropout, keep ? 1 : 0, both);
  memcpy(losses.data, both, (b.first_rows < b.rows ? 2 : 1) * sizeof(double));
  return NULL;
}

/* backward(training, grads): overwrites grads with the gradient of the last forward's loss. */
static napi_value backward(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  struct training_object *o;
  struct view grads;
  if (!arguments(env, info, 2, argv) || !(o = object_of(env, argv[0], KIND_TRAINING)) ||
      !view_of(env, argv[1], napi_float32_array, "grads", &grads))
    return NULL;
  if (!o->can_go_back) return fail(env, "backward needs a forward with keep before it");
  const struct model *m = &o->model->m;
  if (grads.length < (size_t)m->offsets[m->L * PARAMETERS_PER_LAYER + 1] + m->C || !is_aligned(grads.data))
    return fail(env, "grads: too short, or not on 64 bytes");
  o->can_go_back = false;
  o->model->kernels->backward(m, o->scratch, o->room, &o->batch, o->dropout, grads.data);
  return NULL;
}

/* ---- inference ------------------------------------------------------------------------------------------------------ */

struct quantized_object {
  struct object head;
  struct quantized z;
  napi_ref held[3];
};

static void finalize_quantized(napi_env env, void *data, void *hint) {
  (void)hint;
  struct quantized_object *o = data;
  for (int i = 0; i < 3; i++) release(env, o->held[i]);
  free(o->z.packed);
  free(o);
}

/* createQuantized(model, data, scales, scaleOffsets): external, its panels packed. */
static napi_value create_quantized(napi_env env, napi_callback_info info) {
  napi_value argv[4], result;
  struct model_object *model;
  struct view data, scales, offsets;
  if (!arguments(env, info, 4, argv) || !(model = object_of(env, argv[0], KIND_MODEL)) ||
      !view_of(env, argv[1], napi_int8_array, "data", &data) ||
      !view_of(env, argv[2], napi_float32_array, "scales", &scales) ||
      !view_of(env, argv[3], napi_int32_array, "scaleOffsets", &offsets))
    return NULL;
  const struct model *m = &model->m;
  if (offsets.length != m->L * PARAMETERS_PER_LAYER + 2 || scales.length != m->V + 9 * m->L * m->C ||
      data.length < (size_t)m->offsets[m->L * PARAMETERS_PER_LAYER + 1] + m->C)
    return fail(env, "the quantised weights don't fit the model");
  struct quantized_object *o = calloc(1, sizeof *o);
  if (!o) return fail(env, "out of memory");
  o->head.kind = KIND_QUANTIZED;
  o->z = (struct quantized){data.data, scales.data, offsets.data, aligned_floats(model->kernels->quantized_bytes(m) / 4 + 1)};
  for (int i = 0; i < 3; i++) napi_create_reference(env, argv[1 + i], 1, &o->held[i]);
  if (!o->z.packed || napi_create_external(env, o, finalize_quantized, NULL, &result) != napi_ok) {
    finalize_quantized(env, o, NULL);
    return fail(env, "out of memory");
  }
  model->kernels->pack_quantized(m, &o->z);
  return result;
}

struct session_object {
  struct object head;
  struct model_object *model;
  struct quantized_object *quantized;
  napi_ref held[2];
  float *arena;
};

static void finalize_session(napi_env env, void *data, void *hint) {
  (void)hint;
  struct session_object *o = data;
  for (int i = 0; i < 2; i++) release(env, o->held[i]);
  free(o->arena);
  free(o);
}

/* createSession(model, quantized | null): external */
static napi_value create_session(napi_env env, napi_callback_info info) {
  napi_value argv[2], result;
  napi_valuetype type;
  struct model_object *model;
  struct quantized_object *quantized = NULL;
  if (!arguments(env, info, 2, argv) || !(model = object_of(env, argv[0], KIND_MODEL))) return NULL;
  napi_typeof(env, argv[1], &type);
  if (type != napi_null && !(quantized = object_of(env, argv[1], KIND_QUANTIZED))) return NULL;
  struct session_object *o = calloc(1, sizeof *o);
  if (!o) return fail(env, "out of memory");
  *o = (struct session_object){.head = {KIND_SESSION}, .model = model, .quantized = quantized};
  o->arena = aligned_floats(model->kernels->session_floats(&model->m));
  napi_create_reference(env, argv[0], 1, &o->held[0]);
  if (quantized) napi_create_reference(env, argv[1], 1, &o->held[1]);
  if (!o->arena || napi_create_external(env, o, finalize_session, NULL, &result) != napi_ok) {
    finalize_session(env, o, NULL);
    return fail(env, "out of memory for the keys and values of a sequence");
  }
  return result;
}

/* append(session, length, tokens, logits): the logits (V) after the last token go to `logits`. */
static napi_value append(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  struct session_object *o;
  struct view tokens, logits;
  size_t length;
  if (!arguments(env, info, 4, argv) || !(o = object_of(env, argv[0], KIND_SESSION)) ||
      !size_of(env, argv[1], &length) || !view_of(env, argv[2], napi_int32_array, "tokens", &tokens) ||
      !view_of(env, argv[3], napi_float32_array, "logits", &logits))
    return NULL;
  const struct model *m = &o->model->m;
  if (tokens.length == 0 || length + tokens.length > m->T) return fail(env, "the sequence would be empty or longer than seqLen");
  if (logits.length != m->V) return fail(env, "logits must be as long as the vocabulary");
  const int32_t *ids = tokens.data;
  for (size_t i = 0; i < tokens.length; i++)
    if (ids[i] < 0 || (size_t)ids[i] >= m->V) return fail(env, "a token id is outside the vocabulary");
  const float *out = o->model->kernels->append(m, o->quantized ? &o->quantized->z : NULL, o->arena, length, ids, tokens.length);
  memcpy(logits.data, out, m->V * sizeof(float));
  return NULL;
}

/* ---- optimizer ------------------------------------------------------------------------------------------------------ */

/* reduce(grads, slots, stride, begin, end, block, squares): see exact.h. */
static napi_value reduce(napi_env env, napi_callback_info info) {
  napi_value argv[7];
  struct view grads, squares;
  size_t slots, stride, begin, end, block;
  if (!arguments(env, info, 7, argv) || !view_of(env, argv[0], napi_float32_array, "grads", &grads) ||
      !size_of(env, argv[1], &slots) || !size_of(env, argv[2], &stride) || !size_of(env, argv[3], &begin) ||
      !size_of(env, argv[4], &end) || !size_of(env, argv[5], &block) ||
      !view_of(env, argv[6], napi_float64_array, "squares", &squares))
    return NULL;
  if (slots == 0 || block == 0 || begin % block != 0 || begin > end || end > stride ||
      (slots - 1) * stride + end > grads.length || (end + block - 1) / block > squares.length)
    return fail(env, "reduce: the range doesn't fit the arrays");
  fastest_exact()->reduce(grads.data, slots, stride, begin, end, block, squares.data);
  return NULL;
}

/* The ten numbers of an AdamWStep, in the order of struct adamw. */
static bool adamw_of(napi_env env, napi_value value, struct adamw *a) {
  struct view settings;
  if (!view_of(env, value, napi_float32_array, "settings", &settings)) return false;
  if (settings.length != 10) return fail(env, "adamw: expected 10 settings"), false;
  const float *s = settings.data;
  *a = (struct adamw){s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9]};
  return true;
}

static void step_adamw(float *w, const float *g, float *m, float *v, size_t n, const void *settings) {
  fastest_exact()->adamw(w, g, m, v, n, settings);
}

/* update(model, rank, ranks, grads, m, v, settings): AdamW on share `rank` of the model's weights, packed at once. */
static napi_value update(napi_env env, napi_callback_info info) {
  napi_value argv[7];
  struct model_object *o;
  struct view arrays[3];
  struct adamw settings;
  size_t rank, ranks;
  static const char *const names[3] = {"grads", "m", "v"};
  if (!arguments(env, info, 7, argv) || !(o = object_of(env, argv[0], KIND_MODEL)) || !size_of(env, argv[1], &rank) ||
      !size_of(env, argv[2], &ranks) || !adamw_of(env, argv[6], &settings))
    return NULL;
  if (rank >= ranks) return fail(env, "rank must be below ranks");
  const size_t needed = (size_t)o->m.offsets[o->m.L * PARAMETERS_PER_LAYER + 1] + o->m.C;
  for (int i = 0; i < 3; i++) {
    if (!view_of(env, argv[3 + i], napi_float32_array, names[i], &arrays[i])) return NULL;
    if (arrays[i].length < needed) return fail(env, "update: an array is shorter than the weights");
  }
  const struct update u = {(float *)o->m.weights, arrays[0].data, arrays[1].data, arrays[2].data, &settings, step_adamw};
  o->kernels->update(&o->m, rank, ranks, &u);
  return NULL;
}

/* adamw(weights, grads, m, v, begin, end, settings) */
static napi_value adamw(napi_env env, napi_callback_info info) {
  napi_value argv[7];
  struct view arrays[4];
  struct adamw a;
  size_t begin, end;
  static const char *const names[4] = {"weights", "grads", "m", "v"};
  if (!arguments(env, info, 7, argv)) return NULL;
  for (int i = 0; i < 4; i++)
    if (!view_of(env, argv[i], napi_float32_array, names[i], &arrays[i])) return NULL;
  if (!size_of(env, argv[4], &begin) || !size_of(env, argv[5], &end) || !adamw_of(env, argv[6], &a)) return NULL;
  for (int i = 0; i < 4; i++)
    if (begin > end || end > arrays[i].length) return fail(env, "adamw: the range doesn't fit the arrays");
  fastest_exact()->adamw((float *)arrays[0].data + begin, (float *)arrays[1].data + begin, (float *)arrays[2].data + begin,
              (float *)arrays[3].data + begin, end - begin, &a);
  return NULL;
}

/* allFinite(Float32Array): boolean */
static napi_value all_finite(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  struct view x;
  if (!arguments(env, info, 1, argv) || !view_of(env, argv[0], napi_float32_array, "floats", &x)) return NULL;
  napi_get_boolean(env, fastest_exact()->all_finite(x.data, x.length) != 0, &result);
  return result;
}

/* ---- the rest ------------------------------------------------------------------------------------------------------- */

/* alignmentGap(Uint8Array): bytes from its start to the next multiple of 64 in memory. */
static napi_value alignment_gap(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  struct view bytes;
  if (!arguments(env, info, 1, argv) || !view_of(env, argv[0], napi_uint8_array, "bytes", &bytes)) return NULL;
  napi_create_double(env, (double)((ALIGNMENT - (uintptr_t)bytes.data % ALIGNMENT) % ALIGNMENT), &result);
  return result;
}

/* isaVariants(): string[], fastest first */
static napi_value isa_variants(napi_env env, napi_callback_info info) {
  (void)info;
  const struct kernels *found[MAX_VARIANTS];
  const size_t n = supported_kernels(found);
  napi_value result, name;
  napi_create_array_with_length(env, n, &result);
  for (size_t i = 0; i < n; i++) {
    napi_create_string_utf8(env, found[i]->name, NAPI_AUTO_LENGTH, &name);
    napi_set_element(env, result, (uint32_t)i, name);
  }
  return result;
}

#if defined(__APPLE__)
int renamex_np(const char *, const char *, unsigned int);
#define SWAP_PATHS(a, b) renamex_np(a, b, 2 /* RENAME_SWAP */)
#elif defined(__linux__) && defined(SYS_renameat2)
#define SWAP_PATHS(a, b) (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2 /* RENAME_EXCHANGE */)
#else
#define SWAP_PATHS(a, b) (errno = ENOSYS, -1)
#endif

/* exchangePaths(a, b): 0, or the errno. Swaps two names in one step, as renameat2(2) with RENAME_EXCHANGE does. */
static napi_value exchange_paths(napi_env env, napi_callback_info info) {
  napi_value argv[2], result;
  char a[4096], b[4096];
  size_t na, nb;
  if (!arguments(env, info, 2, argv)) return NULL;
  if (napi_get_value_string_utf8(env, argv[0], a, sizeof a, &na) != napi_ok ||
      napi_get_value_string_utf8(env, argv[1], b, sizeof b, &nb) != napi_ok)
    return fail(env, "exchangePaths: expected two paths");
  if (na >= sizeof a - 1 || nb >= sizeof b - 1) return fail(env, "exchangePaths: a path is too long");
  napi_create_int32(env, SWAP_PATHS(a, b) == 0 ? 0 : errno, &result);
  return result;
}

#include "measure.c"

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"isaVariants", isa_variants},     {"alignmentGap", alignment_gap}, {"packedFloats", packed_floats},
      {"createModel", create_model},     {"modelIsa", model_isa},         {"pack", pack},
      {"createTraining", create_training}, {"forward", forward},          {"backward", backward},
      {"createQuantized", create_quantized}, {"createSession", create_session}, {"append", append},
      {"reduce", reduce},                {"adamw", adamw},                {"update", update},
      {"allFinite", all_finite},
      {"exchangePaths", exchange_paths},
      {"measurePeak", measure_peak},
      {"measureRead", measure_read},
      {"measureTriad", measure_triad},
      {"measureLayout", measure_layout},
      {"measureRun", measure_run},
  };
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    napi_value function;
    if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, functions[i].name, function) != napi_ok)
      return NULL;
  }
  return exports;
}
