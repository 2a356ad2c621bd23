/* peak.c: what one core can do at most: multiply-adds that touch registers alone, and memory that is read or streamed through. */

/* As many sums as a GEMM tile keeps: more than latency times throughput of any core we know. In rows and vectors, as there: a
 * single loop over all of them would be longer than the compiler unrolls, and the sums would lie in memory. */
#define PEAK_CHAINS (MR * NV)

/* Different ones: equal chains would be computed once. */
INLINE void start_chains(vf (*acc)[NV], vf start) {
  UNROLL for (int r = 0; r < MR; r++) {
    UNROLL for (int v = 0; v < NV; v++) acc[r][v] = start + (float)(r * NV + v);
  }
}
INLINE float sum_of_chains(vf (*acc)[NV]) {
  vf sum = {0};
  UNROLL for (int r = 0; r < MR; r++) {
    UNROLL for (int v = 0; v < NV; v++) sum += acc[r][v];
  }
  return vsum(sum);
}

/* peak_fp32: PEAK_CHAINS independent chains of acc = acc * a + b, one multiply-add each a round. */
static double peak_fp32(size_t rounds, float *result) {
  /* Read through a volatile: known values would be computed by the compiler. The chains settle at 1, far from denormals. */
  volatile float start = 0.5f;
  const vf a = vset1(start), b = vset1(start);
  vf acc[MR][NV];
  start_chains(acc, a);
  for (size_t i = 0; i < rounds; i++) {
    UNROLL for (int r = 0; r < MR; r++) {
      UNROLL for (int v = 0; v < NV; v++) acc[r][v] = acc[r][v] * a + b;
    }
  }
  *result = sum_of_chains(acc);
  return 2.0 * VW * PEAK_CHAINS * (double)rounds;
}

#if defined(HAS_BF16)
/* peak_bf16: the same of acc = acc + a * b + c * d, two multiply-adds each. The two products cancel, so sums stay what they are. */
static double peak_bf16(size_t rounds, float *result) {
  volatile float start = 0.5f;
  const vf half = vset1(start);
  const vu a = vpair(half, half), b = vpair(half, -half);
  vf acc[MR][NV];
  start_chains(acc, half);
  for (size_t i = 0; i < rounds; i++) {
    UNROLL for (int r = 0; r < MR; r++) {
      UNROLL for (int v = 0; v < NV; v++) acc[r][v] = vdot2(acc[r][v], a, b);
    }
  }
  *result = sum_of_chains(acc);
  return 4.0 * VW * PEAK_CHAINS * (double)rounds;
}
#endif

#define READ_STREAMS 4 /* places that are read at once: a single one doesn't keep the prefetchers of a core busy */
#define READ_CHAINS 4  /* vectors of each at a time */

static float memory_read(const float *restrict x, size_t n) {
  const size_t part = n / READ_STREAMS;
  vf sums[READ_STREAMS];
  UNROLL for (int s = 0; s < READ_STREAMS; s++) sums[s] = (vf){0};
  size_t i = 0;
  for (; i + READ_CHAINS * VW <= part; i += READ_CHAINS * VW) {
    UNROLL for (int s = 0; s < READ_STREAMS; s++) {
      vf sum = vload(x + (size_t)s * part + i);
      UNROLL for (int c = 1; c < READ_CHAINS; c++) sum += vload(x + (size_t)s * part + i + (size_t)c * VW);
      sums[s] += sum;
    }
  }
  float sum = 0;
  for (int s = 0; s < READ_STREAMS; s++) {
    sum += vsum(sums[s]);
    for (size_t k = i; k < part; k++) sum += x[(size_t)s * part + k];
  }
  for (size_t k = READ_STREAMS * part; k < n; k++) sum += x[k];
  return sum;
}

static void memory_triad(float *restrict out, const float *restrict x, const float *restrict y, float factor, size_t n) {
  size_t i = 0;
  for (; i + VW <= n; i += VW) vstore(out + i, vload(x + i) + vload(y + i) * factor);
  for (; i < n; i++) out[i] = x[i] + y[i] * factor;
}
