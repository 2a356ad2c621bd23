/* training.c: forward and backward of micro-batches, as functions for JavaScript. A part of binding.c. */

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
  if (!arguments(env, info, 5, argv) || !(model = packed_model_of(env, argv[0])) ||
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
  o->model->kernels->forward(&o->model->m, o->scratch, &o->batch, o->dropout, keep ? 1 : 0, both);
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
  o->model->kernels->backward(m, o->scratch, &o->batch, o->dropout, grads.data);
  return NULL;
}
