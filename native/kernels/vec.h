/* vec.h: one source for every instruction set. Vectors are the compiler's own (GNU C vector extensions, gcc and clang),
 * VW floats wide; a GEMM tile is MR rows by NV vectors. The build compiles this tree once per instruction set. */
#ifndef LOOM_VEC_H
#define LOOM_VEC_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(VW)
/* Given on the command line: lets a test run the wide kernels on a narrower CPU. */
#elif defined(__AVX512F__)
#define VW 16
#define NV 4 /* 24 accumulators + 4 of B of 32 registers */
#elif defined(__AVX2__)
#define VW 8
#define NV 2 /* 12 accumulators + 2 of B + 1 broadcast of 16 registers */
#elif defined(__aarch64__)
#define VW 4
#define NV 4 /* 24 accumulators + 4 of B of 32 registers */
#else
#define VW 4
#define NV 2
#endif
#define MR 6
#define NR (NV * VW)
/* The widest NR of any instruction set: buffers are padded for it, so their sizes don't depend on the one in use. */
#define NR_MAX 64

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))

INLINE size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

typedef float vf __attribute__((vector_size(VW * 4)));
typedef float vf_unaligned __attribute__((vector_size(VW * 4), aligned(4)));
typedef int32_t vi __attribute__((vector_size(VW * 4)));
typedef uint32_t vu __attribute__((vector_size(VW * 4)));

INLINE vf vload(const float *p) { return *(const vf_unaligned *)p; }
INLINE void vstore(float *p, vf x) { *(vf_unaligned *)p = x; }
/* Storing around the caches: for what is read next when it would have left them. On 64 bytes; vstream_end before others read it. */
#if defined(__AVX512F__) && VW == 16
INLINE void vstream(float *p, vf x) { _mm512_stream_ps(p, (__m512)x); }
INLINE void vstream_end(void) { _mm_sfence(); }
#else
INLINE void vstream(float *p, vf x) { vstore(p, x); }
INLINE void vstream_end(void) {}
#endif
INLINE vf vset1(float x) { return x - (vf){0}; }
/* The larger and the smaller of each lane; a NaN in x stays. x86 returns the second operand when one is a NaN. */
#if defined(__AVX512F__) && VW == 16
INLINE vf vmax(vf limit, vf x) { return (vf)_mm512_max_ps((__m512)limit, (__m512)x); }
INLINE vf vmin(vf limit, vf x) { return (vf)_mm512_min_ps((__m512)limit, (__m512)x); }
#elif defined(__AVX2__) && VW == 8
INLINE vf vmax(vf limit, vf x) { return (vf)_mm256_max_ps((__m256)limit, (__m256)x); }
INLINE vf vmin(vf limit, vf x) { return (vf)_mm256_min_ps((__m256)limit, (__m256)x); }
#else
INLINE vf vselect(vi take, vf a, vf b) { return (vf)(((vi)a & take) | ((vi)b & ~take)); }
INLINE vf vmax(vf limit, vf x) { return vselect(limit > x, limit, x); }
INLINE vf vmin(vf limit, vf x) { return vselect(limit < x, limit, x); }
#endif

/* Sum over the lanes, in the same order in every instruction set: the upper half onto the lower one, again and again. And the
 * maximum. */
#if defined(__AVX512F__) && VW == 16
INLINE float vsum(vf x) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256((__m512)x), _mm512_extractf32x8_ps((__m512)x, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
#else
INLINE float vsum(vf x) {
  float lane[VW];
  memcpy(lane, &x, sizeof lane);
  for (size_t width = VW / 2; width > 0; width /= 2)
    for (size_t i = 0; i < width; i++) lane[i] += lane[i + width];
  return lane[0];
}
#endif
INLINE float vmaximum(vf x) {
  float lane[VW], best;
  memcpy(lane, &x, sizeof lane);
  best = lane[0];
  for (size_t i = 1; i < VW; i++) best = lane[i] > best ? lane[i] : best;
  return best;
}

/* The first n (< VW) floats, the rest 0; and storing the first n. */
INLINE vf vload_part(const float *p, size_t n) {
  vf x = {0};
  memcpy(&x, p, n * sizeof(float));
  return x;
}
INLINE void vstore_part(float *p, vf x, size_t n) { memcpy(p, &x, n * sizeof(float)); }

INLINE float dot_product(const float *a, const float *b, size_t n) {
  vf sums = {0};
  size_t i = 0;
  for (; i + VW <= n; i += VW) sums += vload(a + i) * vload(b + i);
  float sum = vsum(sums);
  for (; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* All bits set in the lanes i with first + i < end. */
INLINE vi vmask_below(size_t first, size_t end) {
  vi lane;
  for (int i = 0; i < VW; i++) lane[i] = i;
  const int left = first >= end ? 0 : end - first > VW ? VW : (int)(end - first);
  return lane < left;
}

/* e^x, relative error below 2e-7 for x in [-87, 88], saturated outside; NaN stays NaN.
 * Range reduction by ln 2 in two parts, then the Taylor polynomial of degree 7 (Cody & Waite 1980). */
INLINE vf vexp(vf x) {
  x = vmin(vset1(88.0f), vmax(vset1(-87.0f), x));
  const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
  vf shifted = x * 1.44269504f + magic;
  vf n = shifted - magic;
  vf r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  vf p = r * (1.0f / 5040.0f) + (1.0f / 720.0f);
  p = p * r + (1.0f / 120.0f);
  p = p * r + (1.0f / 24.0f);
  p = p * r + (1.0f / 6.0f);
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  vu exponent = (vu)shifted << 23; /* the low bits of magic are 0: only n is left */
  return (vf)((vu)p + exponent) + (x - x);
}

/* silu(x) = x * sigmoid(x), and its derivative sigmoid(x) * (1 + x * (1 - sigmoid(x))).
 * Elfwing et al. 2017, https://arxiv.org/abs/1702.03118 */
INLINE vf vsigmoid(vf x) { return 1.0f / (1.0f + vexp(-x)); }
INLINE vf vsilu(vf x) { return x * vsigmoid(x); }

#endif
