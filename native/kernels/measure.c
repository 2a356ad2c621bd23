/* measure.c: single kernels on operands of given sizes, laid out as training lays them out. Sizes: see measure.h. */

/* Carves one operand of an arena that isn't there yet. */
INLINE void place(size_t at[MEASURED_OPERANDS], int operand, size_t *total, size_t floats) {
  at[operand] = *total;
  carve(0, total, floats);
}

static size_t layout_product(const size_t *size, size_t at[MEASURED_OPERANDS]) {
  const size_t rows = size[0], N = size[1], K = size[2];
  const size_t forward = round_up(N, NR_MAX) * K, back = round_up(K, NR_MAX) * N, paired = paired_words(N + K);
  size_t total = 0, rounded = rounded_words(rows, N > K ? N : K);
  place(at, 0, &total, rows * (K + PAD) + NR_MAX);
  place(at, 1, &total, rows * (N + PAD));
  place(at, 2, &total, N * K);
  place(at, 3, &total, forward > back ? forward : back);
  place(at, 4, &total, rounded > paired ? rounded : paired);
  return total;
}

static size_t layout_attention(const size_t *size, size_t at[MEASURED_OPERANDS]) {
  const size_t rows = size[0] * size[1], NH = size[2], hs = size[3], C = NH * hs;
  const size_t floats[MEASURED_OPERANDS] = {
      rows * (C + PAD),     rows * (2 * C + PAD), rows * (C + PAD), rows * NH, rows * (C + PAD), rows * (C + PAD),
      rows * (2 * C + PAD), attention_scratch(size[1], hs), rows};
  size_t total = 0;
  for (int i = 0; i < MEASURED_OPERANDS; i++) place(at, i, &total, floats[i]);
  return total;
}

static size_t layout_norm(const size_t *size, size_t at[MEASURED_OPERANDS]) {
  const size_t rows = size[0], C = size[1];
  size_t total = 0;
  place(at, 0, &total, rows * (C + PAD));
  place(at, 1, &total, rows * (C + PAD));
  place(at, 2, &total, C);
  place(at, 3, &total, rows);
  place(at, 4, &total, rows * (C + PAD));
  place(at, 5, &total, C);
  return total;
}

static size_t measure_layout(const struct measured *m, size_t at[MEASURED_OPERANDS]) {
  if (m->kernel <= MEASURE_LINEAR_GRADS_BF16) return layout_product(m->size, at);
  return m->kernel <= MEASURE_ATTENTION_BACK ? layout_attention(m->size, at) : layout_norm(m->size, at);
}

/* Where the operands of a product begin; see measure.h. */
struct measured_product {
  float *X, *Y, *W, *panels;
  uint32_t *rounded;
  size_t rows, N, K;
  int bf16, pack;
};

static void product_of(const struct measured_product *p, const struct gemm *g) {
  if (p->bf16) gemm_bf16(g, p->rounded);
  else gemm(g);
}

/* Every panel of W (N, K), for Y . W in that precision; and of its transpose, for X . W^T. */
static void pack_operand(float *panels, const float *W, size_t N, size_t K, int bf16) {
  if (!bf16) pack_rows(panels, W, N, K, K, TO_CACHE);
  else
    for (size_t k = 0; k < K; k += NR)
      pair_rows((uint32_t *)panels + k * pairs_of(N), NR, W + k, K, N, K - k < NR ? K - k : NR, NR, TO_CACHE);
}
static void pack_operand_transposed(float *panels, const float *W, size_t N, size_t K, int bf16) {
  for (size_t p = 0; p * NR < N; p++) {
    if (bf16) pair_panel_transposed((uint32_t *)panels + p * NR * pairs_of(K), W, p, N, K, TO_CACHE);
    else pack_panel_transposed(panels + p * NR * K, W, p, N, K, TO_CACHE);
  }
}

static void run_linear(const struct measured_product *p) {
  const struct matrix_view w = {p->W, p->N, p->K, p->panels, p->panels, p->bf16};
  if (p->pack) pack_operand_transposed(p->panels, p->W, p->N, p->K, p->bf16);
  const struct gemm g = linear(&w, p->Y, p->N + PAD, p->X, p->K + PAD, p->rows, 0);
  product_of(p, &g);
}

static void run_linear_back(const struct measured_product *p) {
  const struct matrix_view w = {p->W, p->N, p->K, p->panels, p->panels, p->bf16};
  if (p->pack) pack_operand(p->panels, p->W, p->N, p->K, p->bf16);
  const struct gemm g = linear_back(&w, p->X, p->K + PAD, p->Y, p->N + PAD, p->rows);
  product_of(p, &g);
}

/* What it packs, it packs in training, too. */
static void run_linear_grads(const struct measured_product *p) {
  const struct model m = {.bf16 = p->bf16};
  const struct rows rows = {p->rows, p->rows};
  linear_grads(&m, p->W, 0, p->Y, p->N + PAD, p->X, p->K + PAD, rows, p->N, p->K, p->rounded);
}

static void run_product(const struct measured *m, float *arena, const size_t *at, int pack) {
  const int bf16 = m->kernel >= MEASURE_LINEAR_BF16;
  const struct measured_product p = {.X = arena + at[0], .Y = arena + at[1], .W = arena + at[2], .panels = arena + at[3],
                            .rounded = (uint32_t *)(arena + at[4]), .rows = m->size[0], .N = m->size[1],
                            .K = m->size[2], .bf16 = bf16, .pack = pack};
  switch (m->kernel) {
    case MEASURE_LINEAR: case MEASURE_LINEAR_BF16: run_linear(&p); break;
    case MEASURE_LINEAR_BACK: case MEASURE_LINEAR_BACK_BF16: run_linear_back(&p); break;
    default: run_linear_grads(&p);
  }
}

static void run_attention(const struct measured *m, float *arena, const size_t *at) {
  const size_t sequences = m->size[0], T = m->size[1], NH = m->size[2], hs = m->size[3], C = NH * hs;
  const size_t ldc = C + PAD, ldkv = 2 * C + PAD;
  const int32_t *positions = (const int32_t *)(arena + at[8]);
  for (size_t s = 0; s < sequences; s++)
    for (size_t h = 0; h < NH; h++) {
      const size_t row = s * T, at_q = row * ldc + h * hs, at_kv = row * ldkv + h * hs;
      const struct attention a = {
          .queries = T, .keys = T, .hs = hs, .pos = positions + row, .q = arena + at[0] + at_q,
          .k = arena + at[1] + at_kv, .v = arena + at[1] + at_kv + C, .ldq = ldc, .ldkv = ldkv,
          .o = arena + at[2] + at_q, .ldo = ldc, .lse = arena + at[3] + row * NH + h, .lse_stride = NH,
          .dout = arena + at[4] + at_q, .dq = arena + at[5] + at_q, .dk = arena + at[6] + at_kv,
          .dv = arena + at[6] + at_kv + C, .scratch = arena + at[7]};
      if (m->kernel == MEASURE_ATTENTION) attention_forward(&a);
      else attention_backward(&a);
    }
}

static void run_norm(const struct measured *m, float *arena, const size_t *at) {
  const size_t rows = m->size[0], C = m->size[1], ld = C + PAD;
  float *x = arena + at[0], *y = arena + at[1], *gain = arena + at[2], *rrms = arena + at[3];
  if (m->kernel == MEASURE_NORM) rmsnorm_forward(y, ld, rrms, x, ld, gain, rows, C);
  else rmsnorm_backward(arena + at[4], arena + at[5], y, ld, x, ld, gain, rrms, rows, C);
}

static void measure_run(const struct measured *m, float *arena, int pack, size_t times) {
  size_t at[MEASURED_OPERANDS];
  measure_layout(m, at);
  const int is_attention = m->kernel == MEASURE_ATTENTION || m->kernel == MEASURE_ATTENTION_BACK;
  int32_t *positions = (int32_t *)(arena + at[is_attention ? 8 : 0]);
  for (size_t i = 0; is_attention && i < m->size[0] * m->size[1]; i++) positions[i] = (int32_t)(i % m->size[1]);
  for (size_t i = 0; i < times; i++) {
    if (is_attention) run_attention(m, arena, at);
    else if (m->kernel >= MEASURE_NORM) run_norm(m, arena, at);
    else run_product(m, arena, at, pack);
  }
}

static const struct measures measures = {
    .peak_fp32 = peak_fp32,
#if defined(HAS_BF16)
    .peak_bf16 = peak_bf16,
#endif
    .read = memory_read,
    .triad = memory_triad,
    .layout = measure_layout,
    .run = measure_run,
};
