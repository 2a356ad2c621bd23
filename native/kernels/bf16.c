/* bf16.c: numbers rounded to bfloat16, whose products are summed in float32.
 * Two neighbours along K share a 32-bit word, the even one in its low half, as VDPBF16PS of AVX512_BF16 reads them (Intel SDM,
 * volume 2). Other instruction sets compute the same from shifted words: slower than float32, for tests of this path. */

typedef uint32_t vu_unaligned __attribute__((vector_size(VW * 4), aligned(4)));

INLINE vu vuload(const uint32_t *p) { return *(const vu_unaligned *)p; }
INLINE void vustore(uint32_t *p, vu x) { *(vu_unaligned *)p = x; }

/* The upper half of a float32, rounded to nearest, ties to even; a NaN stays one. */
INLINE uint32_t bf16_upper(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
  return (bits & 0x7fffffff) > 0x7f800000 ? bits | 0x400000 : rounded;
}
INLINE uint32_t bf16_pair(float even, float odd) { return bf16_upper(even) >> 16 | (bf16_upper(odd) & 0xffff0000); }

#if defined(__AVX512BF16__) && VW == 16
#define HAS_BF16 /* instructions that multiply bfloat16 numbers */
/* sum + the products of both halves. */
INLINE vf vdot2(vf sum, vu a, vu b) { return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b); }
INLINE vu vhalf(vf x) { return (vu)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)x)); }
INLINE vu vpair(vf even, vf odd) { return vhalf(even) | vhalf(odd) << 16; }
#else
INLINE vf vdot2(vf sum, vu a, vu b) {
  sum += (vf)(a & 0xffff0000u) * (vf)(b & 0xffff0000u);
  return sum + (vf)(a << 16) * (vf)(b << 16);
}
INLINE vu vupper(vf x) {
  const vu bits = (vu)x, is_nan = (vu)(x != x);
  return (is_nan & (bits | 0x400000u)) | (~is_nan & (bits + 0x7fffu + (bits >> 16 & 1u)));
}
INLINE vu vpair(vf even, vf odd) { return vupper(even) >> 16 | (vupper(odd) & 0xffff0000u); }
#endif

INLINE size_t pairs_of(size_t K) { return (K + 1) / 2; }

/* round_row: out[k] = x[2k] and x[2k + 1], K floats, 0 behind an odd K. */
static void round_row(uint32_t *restrict out, const float *restrict x, size_t K) {
  size_t k = 0;
#if defined(HAS_BF16)
  for (; k + 32 <= K; k += 32)
    _mm512_storeu_si512(out + k / 2, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + k + 16), _mm512_loadu_ps(x + k)));
#endif
  for (; k + 2 <= K; k += 2) out[k / 2] = bf16_pair(x[k], x[k + 1]);
  if (k < K) out[k / 2] = bf16_pair(x[k], 0);
}
