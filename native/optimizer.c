/* optimizer.c: gradients summed over micro-batches and AdamW, as functions for JavaScript. A part of binding.c. */

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

/* update(model, rank, ranks, grads, m, v, settings): AdamW on share `rank` of the model's weights, packed at once. */
static napi_value update(napi_env env, napi_callback_info info) {
  napi_value argv[7];
  struct model_object *o;
  struct view arrays[3];
  struct adamw settings;
  size_t rank, ranks;
  static const char *const names[3] = {"grads", "m", "v"};
  if (!arguments(env, info, 7, argv) || !(o = packed_model_of(env, argv[0])) || !size_of(env, argv[1], &rank) ||
      !size_of(env, argv[2], &ranks) || !adamw_of(env, argv[6], &settings))
    return NULL;
  if (rank >= ranks) return fail(env, "rank must be below ranks");
  const size_t needed = (size_t)o->m.offsets[o->m.L * PARAMETERS_PER_LAYER + 1] + o->m.C;
  for (int i = 0; i < 3; i++) {
    if (!view_of(env, argv[3 + i], napi_float32_array, names[i], &arrays[i])) return NULL;
    if (arrays[i].length < needed) return fail(env, "update: an array is shorter than the weights");
  }
  const struct update u = {(float *)o->m.weights, arrays[0].data, arrays[1].data, arrays[2].data, &settings,
                           fastest_exact()->adamw};
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
