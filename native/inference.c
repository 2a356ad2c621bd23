/* inference.c: int8 matrices, and sequences that grow by tokens, as objects for JavaScript. A part of binding.c. */

struct quantized_object {
  struct object head;
  struct model_object *model;
  struct quantized z;
  napi_ref held[2]; /* model, scales */
};

static void finalize_quantized(napi_env env, void *data, void *hint) {
  (void)hint;
  struct quantized_object *o = data;
  for (int i = 0; i < 2; i++) release(env, o->held[i]);
  free(o->z.packed);
  free(o);
}

/* Packs an array of Int8Arrays, the matrices in the order of the table; false (with an exception) if one isn't there. */
static bool pack_matrices(napi_env env, napi_value matrices, struct quantized_object *o) {
  const struct model *m = &o->model->m;
  const size_t CC = m->C * m->C, sizes[QUANTIZED_PER_LAYER] = {3 * CC, CC, 4 * CC, 4 * CC};
  for (size_t i = 0; i <= QUANTIZED_PER_LAYER * m->L; i++) {
    napi_value matrix;
    struct view W;
    if (napi_get_element(env, matrices, (uint32_t)i, &matrix) != napi_ok) return fail(env, "matrices must be an array"), false;
    if (!view_of(env, matrix, napi_int8_array, "a matrix", &W)) return false;
    if (W.length != (i == 0 ? m->V * m->C : sizes[(i - 1) % QUANTIZED_PER_LAYER]))
      return fail(env, "the quantised weights don't fit the model"), false;
    o->model->kernels->pack_quantized(m, &o->z, i, W.data);
  }
  return true;
}

/* createQuantized(model, matrices, scales): external. Of the Int8Arrays it keeps copies, packed; see struct quantized. */
static napi_value create_quantized(napi_env env, napi_callback_info info) {
  napi_value argv[3], result;
  struct model_object *model;
  struct view scales;
  if (!arguments(env, info, 3, argv) || !(model = object_of(env, argv[0], KIND_MODEL)) ||
      !view_of(env, argv[2], napi_float32_array, "scales", &scales))
    return NULL;
  const struct model *m = &model->m;
  if (scales.length != m->V + 9 * m->L * m->C) return fail(env, "the quantised weights don't fit the model");
  struct quantized_object *o = calloc(1, sizeof *o);
  if (!o) return fail(env, "out of memory");
  int8_t *packed = aligned_floats(model->kernels->quantized_bytes(m) / sizeof(float) + 1);
  *o = (struct quantized_object){.head = {KIND_QUANTIZED}, .model = model, .z = {scales.data, packed}};
  if (!packed) {
    finalize_quantized(env, o, NULL);
    return fail(env, "out of memory for the packed int8 weights");
  }
  napi_create_reference(env, argv[0], 1, &o->held[0]);
  napi_create_reference(env, argv[2], 1, &o->held[1]);
  if (!pack_matrices(env, argv[1], o) || napi_create_external(env, o, finalize_quantized, NULL, &result) != napi_ok) {
    finalize_quantized(env, o, NULL);
    return fail(env, "no room for the int8 weights");
  }
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
  if (!arguments(env, info, 2, argv)) return NULL;
  napi_typeof(env, argv[1], &type);
  model = type == napi_null ? packed_model_of(env, argv[0]) : object_of(env, argv[0], KIND_MODEL);
  if (!model || (type != napi_null && !(quantized = object_of(env, argv[1], KIND_QUANTIZED)))) return NULL;
  if (quantized && quantized->model != model) return fail(env, "the int8 weights are another model's");
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

/* append(session, length, tokens, logits): the logits (V) after the last token go to `logits`; returns log(sum(exp(logits))). */
static napi_value append(napi_env env, napi_callback_info info) {
  napi_value argv[4], result;
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
  const struct quantized *z = o->quantized ? &o->quantized->z : NULL;
  const double log_sum = o->model->kernels->append(m, z, o->arena, length, ids, tokens.length, logits.data);
  napi_create_double(env, log_sum, &result);
  return result;
}
