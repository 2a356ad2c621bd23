/* binding.c: the kernels as functions for JavaScript, through N-API alone: what all parts share, the parts, and their functions by
 * name. Each part checks lengths, alignment and indices, then calls; a failed check becomes a JavaScript exception. Keeps no
 * state of its own: every thread loads the addon for itself.
 * Arrays that JavaScript passes to a constructor are held by a reference until the object is collected. */
#define NAPI_VERSION 8
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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

static void release(napi_env env, napi_ref ref) {
  if (ref) napi_delete_reference(env, ref);
}

#define HUGE_PAGE ((size_t)2 << 20)

/* Large memory that is read and written from end to end: in pages of 2 MB where the system has them for whoever asks (on Linux,
 * "madvise" or "always" in /sys/kernel/mm/transparent_hugepage/enabled), so that hardly an access misses the table of pages. */
static void prefer_huge(void *start, size_t bytes) {
#if defined(MADV_HUGEPAGE)
  const uintptr_t first = ((uintptr_t)start + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
  const uintptr_t end = ((uintptr_t)start + bytes) / HUGE_PAGE * HUGE_PAGE;
  /* Advice: where it isn't taken, everything works with small pages. */
  if (end > first) (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
#else
  (void)start;
  (void)bytes;
#endif
}

static void *aligned_floats(size_t floats) {
  const size_t bytes = (floats * sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  void *p = aligned_alloc(ALIGNMENT, bytes > 0 ? bytes : ALIGNMENT);
  if (p) prefer_huge(p, bytes);
  return p;
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

/* alignmentGap(Uint8Array): bytes from its start to the next multiple of 64 in memory. */
static napi_value alignment_gap(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  struct view bytes;
  if (!arguments(env, info, 1, argv) || !view_of(env, argv[0], napi_uint8_array, "bytes", &bytes)) return NULL;
  napi_create_double(env, (double)((ALIGNMENT - (uintptr_t)bytes.data % ALIGNMENT) % ALIGNMENT), &result);
  return result;
}

/* preferHugePages(Uint8Array): see prefer_huge. */
static napi_value prefer_huge_pages(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  struct view bytes;
  if (!arguments(env, info, 1, argv) || !view_of(env, argv[0], napi_uint8_array, "bytes", &bytes)) return NULL;
  prefer_huge(bytes.data, bytes.length);
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
#include "memory.c"
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
