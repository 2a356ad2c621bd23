/* binding.c: the kernels as functions for JavaScript, through N-API alone: what all parts share, the parts, and their functions by
 * name. Each part checks lengths, alignment and indices, then calls; a failed check becomes a JavaScript exception. Keeps no
 * state of its own: every thread loads the addon for itself.
 * Arrays that JavaScript passes to a constructor are held by a reference until the object is collected. */
#define NAPI_VERSION 8
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "variants.h"

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

static void release(napi_env env, napi_ref ref) {
  if (ref) napi_delete_reference(env, ref);
}

#include "memory.c"

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

#include "model.c"
#include "training.c"
#include "inference.c"
#include "optimizer.c"
#include "files.c"
#include "measure.c"

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"isaVariants", isa_variants},         {"alignmentGap", alignment_gap},   {"packedFloats", packed_floats},
      {"createModel", create_model},         {"modelIsa", model_isa},           {"pack", pack},
      {"createTraining", create_training},   {"forward", forward},              {"backward", backward},
      {"createQuantized", create_quantized}, {"createSession", create_session}, {"append", append},
      {"reduce", reduce},                    {"adamw", adamw},                  {"update", update},
      {"allFinite", all_finite},             {"exchangePaths", exchange_paths}, {"measurePeak", measure_peak},
      {"measureRead", measure_read},         {"measureTriad", measure_triad},   {"measureLayout", measure_layout},
      {"measureRun", measure_run},           {"trimMemory", trim_memory},        {"preferHugePages", prefer_huge_pages},
  };
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    napi_value function;
    if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, functions[i].name, function) != napi_ok)
      return NULL;
  }
  return exports;
}
