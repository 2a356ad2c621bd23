/* peak.c: what one core can do at most: multiply-adds that touch registers alone, and memory that is read or streamed through. */

#define PEAK_CHAINS (MR * NV) /* as many sums as a GEMM tile keeps: more than latency times throughput of any core we know */

/* peak_fp32: PEAK_CHAINS independent chains of acc = acc * a + b, one multiply-add each a round. */
static double peak_fp32(size_t rounds, float *result) {
  /* Read through a volatile: known values would be computed by the compiler. The chains settle at 1, far from denormals. */
  volatile float start = 0.5f;
  const vf a = vset1(start), b = vset1(start);
  vf acc[PEAK_CHAINS];
  UNROLL for (int c = 0; c < PEAK_CHAINS; c++) acc[c] = vset1(start) + (float)c;
  for (size_t i = 0; i < rounds; i++) {
    UNROLL for (int c = 0; c < PEAK_CHAINS; c++) acc[c] = acc[c] * a + b;
  }
  vf sum = {0};
  UNROLL for (int c = 0; c < PEAK_CHAINS; c++) sum += acc[c];
  *result = vsum(sum);
  return 2.0 * VW * PEAK_CHAINS * (double)rounds;
}

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
