/* variants.h: the instruction sets that were compiled, and which of them this CPU runs. */
#ifndef LOOM_VARIANTS_H
#define LOOM_VARIANTS_H

#include "kernels/exact.h"
#include "kernels/model.h"

extern const struct kernels kernels_plain;
extern const struct exact_kernels exact_plain;
#if defined(HAVE_AVX512BF16)
extern const struct kernels kernels_avx512bf16;
extern const struct exact_kernels exact_avx512bf16;
#endif
#if defined(HAVE_AVX512)
extern const struct kernels kernels_avx512;
extern const struct exact_kernels exact_avx512;
#endif
#if defined(HAVE_AVX2)
extern const struct kernels kernels_avx2;
extern const struct exact_kernels exact_avx2;
#endif
#if defined(HAVE_NEON)
extern const struct kernels kernels_neon;
extern const struct exact_kernels exact_neon;
#endif

#if defined(HAVE_AVX512)
static int has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}
#endif

/* Those that were compiled and that this CPU runs, fastest first. */
#define MAX_VARIANTS 5
static size_t supported_kernels(const struct kernels *found[MAX_VARIANTS]) {
  size_t n = 0;
#if defined(HAVE_AVX512) && defined(HAVE_AVX512BF16)
  if (has_avx512() && __builtin_cpu_supports("avx512bf16")) found[n++] = &kernels_avx512bf16;
#endif
#if defined(HAVE_AVX512)
  if (has_avx512()) found[n++] = &kernels_avx512;
#endif
#if defined(HAVE_AVX2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found[n++] = &kernels_avx2;
#endif
#if defined(HAVE_NEON)
  found[n++] = &kernels_neon;
#endif
  found[n++] = &kernels_plain;
  return n;
}

/* Their results don't depend on which it is. */
static const struct exact_kernels *fastest_exact(void) {
  const struct kernels *found[MAX_VARIANTS];
  supported_kernels(found);
#if defined(HAVE_AVX512BF16)
  if (found[0] == &kernels_avx512bf16) return &exact_avx512bf16;
#endif
#if defined(HAVE_AVX512)
  if (found[0] == &kernels_avx512) return &exact_avx512;
#endif
#if defined(HAVE_AVX2)
  if (found[0] == &kernels_avx2) return &exact_avx2;
#endif
#if defined(HAVE_NEON)
  if (found[0] == &kernels_neon) return &exact_neon;
#endif
  return &exact_plain;
}

#endif
