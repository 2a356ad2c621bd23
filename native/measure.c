/* measure.c: what `gpt-loom bench` times, as functions for JavaScript, which holds the clock. A part of binding.c. */

/* measurePeak(isa, isBf16, rounds): FLOPs of that many rounds of multiply-adds in registers, or null where there are none. */
static napi_value measure_peak(napi_env env, napi_callback_info info) {
  napi_value argv[3], result;
  const struct kernels *kernels;
  bool is_bf16;
  size_t rounds;
  volatile float kept;
  float out;
  if (!arguments(env, info, 3, argv) || !(kernels = kernels_of(env, argv[0])) || !size_of(env, argv[2], &rounds))
    return NULL;
  if (napi_get_value_bool(env, argv[1], &is_bf16) != napi_ok) return fail(env, "isBf16 must be true or false");
  double (*const peak)(size_t, float *) = is_bf16 ? kernels->measures->peak_bf16 : kernels->measures->peak_fp32;
  if (!peak) {
    napi_get_null(env, &result);
    return result;
  }
  napi_create_double(env, peak(rounds, &out), &result);
  kept = out;
  (void)kept;
  return result;
}

/* measureRead(isa, x): the sum of x. */
static napi_value measure_read(napi_env env, napi_callback_info info) {
  napi_value argv[2], result;
  const struct kernels *kernels;
  struct view x;
  if (!arguments(env, info, 2, argv) || !(kernels = kernels_of(env, argv[0])) ||
      !view_of(env, argv[1], napi_float32_array, "x", &x))
    return NULL;
  napi_create_double(env, (double)kernels->measures->read(x.data, x.length), &result);
  return result;
}

/* measureTriad(isa, out, x, y, factor): out = x + y * factor. */
static napi_value measure_triad(napi_env env, napi_callback_info info) {
  napi_value argv[5];
  const struct kernels *kernels;
  struct view out, x, y;
  double factor;
  if (!arguments(env, info, 5, argv) || !(kernels = kernels_of(env, argv[0])) ||
      !view_of(env, argv[1], napi_float32_array, "out", &out) || !view_of(env, argv[2], napi_float32_array, "x", &x) ||
      !view_of(env, argv[3], napi_float32_array, "y", &y) || !number_of(env, argv[4], &factor))
    return NULL;
  if (x.length != out.length || y.length != out.length) return fail(env, "measureTriad: the arrays differ in length");
  kernels->measures->triad(out.data, x.data, y.data, (float)factor, out.length);
  return NULL;
}

/* Kernel and sizes; false (with an exception) if they are none, or need more than 2^31 - 1 floats. */
static bool measured_of(napi_env env, napi_value kernel, napi_value sizes, struct measured *m) {
  size_t number;
  struct view view;
  if (!size_of(env, kernel, &number) || !view_of(env, sizes, napi_int32_array, "sizes", &view)) return false;
  if (number >= MEASURED_KERNELS) return fail(env, "no such kernel to measure"), false;
  if (view.length != MEASURED_SIZES) return fail(env, "expected 4 sizes"), false;
  const int32_t *size = view.data;
  m->kernel = (enum measured_kernel)number;
  for (int i = 0; i < MEASURED_SIZES; i++) {
    if (size[i] < 1 || size[i] > 1 << 20) return fail(env, "every size must be from 1 to 2^20"), false;
    m->size[i] = (size_t)size[i];
  }
  return true;
}

/* measureLayout(kernel, sizes): where the operands begin, in floats, then the floats of them all. */
static napi_value measure_layout(napi_env env, napi_callback_info info) {
  napi_value argv[2], result, number;
  struct measured m;
  size_t at[MEASURED_OPERANDS + 1] = {0};
  if (!arguments(env, info, 2, argv) || !measured_of(env, argv[0], argv[1], &m)) return NULL;
  at[MEASURED_OPERANDS] = kernels_plain.measures->layout(&m, at);
  napi_create_array_with_length(env, MEASURED_OPERANDS + 1, &result);
  for (uint32_t i = 0; i <= MEASURED_OPERANDS; i++) {
    napi_create_double(env, (double)at[i], &number);
    napi_set_element(env, result, i, number);
  }
  return result;
}

/* measureRun(isa, kernel, sizes, pack, times, arena): see struct measures. */
static napi_value measure_run(napi_env env, napi_callback_info info) {
  napi_value argv[6];
  const struct kernels *kernels;
  struct measured m;
  struct view arena;
  size_t times, at[MEASURED_OPERANDS];
  bool pack;
  if (!arguments(env, info, 6, argv) || !(kernels = kernels_of(env, argv[0])) ||
      !measured_of(env, argv[1], argv[2], &m) || !size_of(env, argv[4], &times) ||
      !view_of(env, argv[5], napi_float32_array, "arena", &arena))
    return NULL;
  if (napi_get_value_bool(env, argv[3], &pack) != napi_ok) return fail(env, "pack must be true or false");
  if (arena.length < kernels->measures->layout(&m, at) || !is_aligned(arena.data))
    return fail(env, "arena: shorter than measureLayout says, or not on 64 bytes");
  kernels->measures->run(&m, arena.data, pack ? 1 : 0, times);
  return NULL;
}
