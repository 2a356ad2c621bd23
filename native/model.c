/* model.c: models, that is weights and the packed copies of their matrices, as objects for JavaScript. A part of binding.c. */

struct model_object {
  struct object head;
  struct model m;
  const struct kernels *kernels;
  napi_ref held[3]; /* offsets, weights, packed */
};

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

/* packedFloats(shape, trains, bf16): number */
static napi_value packed_floats(napi_env env, napi_callback_info info) {
  napi_value argv[3], result;
  struct model m;
  bool trains, bf16;
  if (!arguments(env, info, 3, argv) || !shape_of(env, argv[0], &m)) return NULL;
  if (napi_get_value_bool(env, argv[1], &trains) != napi_ok || napi_get_value_bool(env, argv[2], &bf16) != napi_ok)
    return fail(env, "trains and bf16 must be true or false");
  m.bf16 = bf16 ? 1 : 0;
  napi_create_double(env, (double)kernels_plain.packed_floats(&m, trains ? 1 : 0), &result);
  return result;
}

/* The model, if its matrices are packed; null (with an exception) if it is one for int8 matrices, or no model. */
static struct model_object *packed_model_of(napi_env env, napi_value value) {
  struct model_object *o = object_of(env, value, KIND_MODEL);
  if (!o || o->m.packed) return o;
  fail(env, "the model has no float32 matrices");
  return NULL;
}

/* createModel(isa, shape, offsets, weights, packed | null, bf16): external. isa '' takes the fastest. The length of packed decides
 * whether it can be trained. Without packed it is a model for createQuantized: weights are then read where vectors lie only. */
static napi_value create_model(napi_env env, napi_callback_info info) {
  napi_value argv[6], result;
  struct model m;
  struct view offsets, weights, packed = {NULL, 0};
  napi_valuetype type_of_packed;
  bool bf16;
  const struct kernels *kernels;
  if (!arguments(env, info, 6, argv) || !shape_of(env, argv[1], &m) ||
      !view_of(env, argv[2], napi_int32_array, "offsets", &offsets) ||
      !view_of(env, argv[3], napi_float32_array, "weights", &weights))
    return NULL;
  napi_typeof(env, argv[4], &type_of_packed);
  const bool is_packed = type_of_packed != napi_null;
  if (is_packed && !view_of(env, argv[4], napi_float32_array, "packed", &packed)) return NULL;
  if (!(kernels = kernels_of(env, argv[0]))) return NULL;
  if (napi_get_value_bool(env, argv[5], &bf16) != napi_ok) return fail(env, "bf16 must be true or false");
  m.bf16 = bf16 ? 1 : 0;
  if (offsets.length != m.L * PARAMETERS_PER_LAYER + 2) return fail(env, "offsets: wrong number of parameters");
  const int32_t *at = offsets.data;
  for (size_t i = 0; i < offsets.length; i++)
    if (at[i] < 0 || at[i] % 16 != 0) return fail(env, "offsets: not multiples of 16");
  if (weights.length < (size_t)at[offsets.length - 1] + m.C) return fail(env, "weights: shorter than the offsets say");
  m.trains = packed.length >= kernels->packed_floats(&m, 1);
  if (is_packed && packed.length < kernels->packed_floats(&m, 0))
    return fail(env, "packed: shorter than packedFloats(shape)");
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
  for (int i = 0; i < (is_packed ? 3 : 2); i++) napi_create_reference(env, argv[2 + i], 1, &o->held[i]);
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
  if (!arguments(env, info, 3, argv) || !(o = packed_model_of(env, argv[0])) || !size_of(env, argv[1], &rank) ||
      !size_of(env, argv[2], &ranks))
    return NULL;
  if (rank >= ranks) return fail(env, "rank must be below ranks");
  o->kernels->pack(&o->m, rank, ranks);
  return NULL;
}
