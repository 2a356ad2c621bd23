/* infer.c: appends tokens to one sequence whose keys and values are kept (KV cache). Prefill runs as GEMM over all new rows;
 * a single token reads each weight once. In the last layer only the last row is carried on. */

struct session {
  size_t ldc, ldkv, ldu;
  float *cache; /* (L, T, 2C + PAD): rotated keys, then values */
  float *x, *n, *q, *o, *u, *scores, *logits, *attention;
  int16_t *x16;
  uint32_t *rounded;
  int32_t *positions;
};

static size_t session_layout(const struct model *m, float *arena, struct session *s) {
  const size_t C = m->C, T = m->T;
  size_t at = 0;
  s->ldc = C + PAD;
  s->ldkv = 2 * C + PAD;
  s->ldu = 4 * C + PAD;
  s->cache = carve(arena, &at, m->L * T * s->ldkv);
  s->x = carve(arena, &at, T * s->ldc);
  s->n = carve(arena, &at, T * s->ldc);
  s->q = carve(arena, &at, T * s->ldc);
  s->o = carve(arena, &at, T * s->ldc);
  s->u = carve(arena, &at, T * s->ldu);
  s->scores = carve(arena, &at, round_up(T + m->T, NR_MAX)); /* whole vectors: softmax fills the last one */
  s->logits = carve(arena, &at, round_up(m->V, NR_MAX));
  s->attention = carve(arena, &at, attention_scratch(T, C / m->NH));
  s->x16 = (int16_t *)carve(arena, &at, QUANT_ROWS * 4 * C);
  s->rounded = (uint32_t *)carve(arena, &at, m->bf16 ? rounded_words(T, 4 * C) : 0);
  s->positions = (int32_t *)carve(arena, &at, T);
  return at;
}

static size_t session_floats(const struct model *m) {
  struct session s;
  return session_layout(m, 0, &s);
}

/* ---- one linear layer, in either precision ---------------------------------------------------------------------------- */

struct projection {
  struct matrix_view w; /* of int8 weights the sizes only */
  const int8_t *quantized;
  const float *scales;
};

/* Packed bytes of a layer; the matrices lie in it, and their scales, in the order of enum matrix. */
static size_t quantized_layer_bytes(size_t C) { return 12 * round_up(C, QR) * C; }

static size_t quantized_bytes(const struct model *m) {
  return m->L * quantized_layer_bytes(m->C) + quantized_matrix_bytes(m->V, m->C);
}

static struct projection quantized_projection(const struct model *m, const struct quantized *z, size_t l, enum matrix which) {
  const size_t C = m->C;
  /* What comes before the matrix in its layer: rows, in units of C, and bytes, in units of a C by C matrix, are the same. */
  static const size_t before[MATRICES_PER_LAYER] = {0, 1, 3, 4, 8};
  return (struct projection){.w = {.N = matrix_rows[which] * C, .K = matrix_columns[which] * C},
                             .quantized = z->packed + l * quantized_layer_bytes(C) + before[which] * round_up(C, QR) * C,
                             .scales = z->scales + m->V + (l * 9 + before[which]) * C};
}
static struct projection projection_of(const struct model *m, const struct quantized *z, size_t l, enum matrix which) {
  return z ? quantized_projection(m, z, l, which) : (struct projection){.w = layer_matrix(m, l, which)};
}
static struct projection projection_of_head(const struct model *m, const struct quantized *z) {
  if (!z) return (struct projection){.w = head_matrix(m)};
  return (struct projection){.w = {.N = m->V, .K = m->C}, .quantized = z->packed + m->L * quantized_layer_bytes(m->C),
                             .scales = z->scales};
}

static void pack_quantized_matrix(const struct projection *p, const int8_t *W) {
  quantized_pack((int8_t *)p->quantized, W, p->w.N, p->w.K);
}
static void pack_quantized(const struct model *m, const struct quantized *z, size_t i, const int8_t *W) {
  static const enum matrix matrices[QUANTIZED_PER_LAYER] = {M_Q, M_PROJ, M_FC1, M_FC2};
  if (i == 0) {
    const struct projection head = projection_of_head(m, z);
    pack_quantized_matrix(&head, W);
    return;
  }
  const size_t l = (i - 1) / QUANTIZED_PER_LAYER;
  const enum matrix which = matrices[(i - 1) % QUANTIZED_PER_LAYER];
  struct projection p = quantized_projection(m, z, l, which);
  pack_quantized_matrix(&p, W);
  if (which != M_Q) return;
  p = quantized_projection(m, z, l, M_KV);
  pack_quantized_matrix(&p, W + m->C * m->C);
}

static void project(const struct model *m, const struct session *s, const struct projection *p, float *Y, size_t ldy,
                    const float *X, size_t ldx, size_t rows, const float *bias) {
  if (p->quantized) {
    quantized_linear(Y, ldy, X, ldx, rows, p->quantized, p->scales, bias, p->w.N, p->w.K, s->x16);
    return;
  }
  struct gemm g = linear(&p->w, Y, ldy, X, ldx, rows, bias);
  g.epilogue = bias ? EPI_BIAS : EPI_STORE;
  if (rows == 1 && !m->bf16) gemm_one_row(&g);
  else multiply(m, &g, s->rounded);
}

static void add_rows(float *restrict x, size_t ldx, const float *restrict y, size_t ldy, size_t rows, size_t C) {
  for (size_t i = 0; i < rows; i++)
    for (size_t c = 0; c < C; c++) x[i * ldx + c] += y[i * ldy + c];
}
static void silu_rows(float *x, size_t ldx, size_t rows, size_t n) {
  for (size_t i = 0; i < rows; i++) {
    float *row = x + i * ldx;
    size_t c = 0;
    for (; c + VW <= n; c += VW) vstore(row + c, vsilu(vload(row + c)));
    for (; c < n; c++) row[c] = row[c] / (1.0f + expf(-row[c]));
  }
}

/* Attention of one query over `keys` cached positions, one head. */
static void attention_one(float *restrict o, const float *restrict q, const float *restrict k, const float *restrict v,
                          size_t ldkv, size_t keys, size_t hs, float *restrict scores) {
  const float scale = 1.0f / sqrtf((float)hs);
  for (size_t j = 0; j < keys; j++) scores[j] = dot_product(q, k + j * ldkv, hs);
  attention_softmax(scores, keys - 1, keys, scale);
  memset(o, 0, hs * sizeof(float));
  for (size_t j = 0; j < keys; j++) {
    size_t d = 0;
    for (; d + VW <= hs; d += VW) vstore(o + d, vload(o + d) + vload(v + j * ldkv + d) * scores[j]);
    for (; d < hs; d++) o[d] += v[j * ldkv + d] * scores[j];
  }
}

static void session_attention(const struct model *m, const struct session *s, const float *cache, size_t first,
                              size_t rows, size_t keys) {
  const size_t hs = m->C / m->NH;
  for (size_t h = 0; h < m->NH; h++) {
    const float *k = cache + h * hs, *v = k + m->C;
    if (rows == 1) {
      attention_one(s->o + h * hs, s->q + h * hs, k, v, s->ldkv, keys, hs, s->scores);
      continue;
    }
    const struct attention a = {.queries = rows, .keys = keys, .hs = hs, .pos = s->positions + first, .q = s->q + h * hs,
                                .k = k, .v = v, .ldq = s->ldc, .ldkv = s->ldkv, .o = s->o + h * hs, .ldo = s->ldc,
                                .lse = s->scores, .lse_stride = 1, .scratch = s->attention};
    attention_forward(&a);
  }
}

static void embed(const struct model *m, const struct quantized *z, float *x, size_t ldx, const int32_t *tokens, size_t n) {
  if (!z) {
    gather_rows(x, ldx, m->weights + m->offsets[0], m->C, tokens, n, m->C);
    return;
  }
  const struct projection head = projection_of_head(m, z);
  for (size_t i = 0; i < n; i++) quantized_row(x + i * ldx, head.quantized, head.scales, (size_t)tokens[i], m->C);
}

static double session_append(const struct model *m, const struct quantized *z, float *arena, size_t length,
                             const int32_t *tokens, size_t n, float *logits) {
  struct session s;
  session_layout(m, arena, &s);
  const size_t C = m->C, hs = C / m->NH, ldc = s.ldc;
  float *rrms = s.scores; /* not needed here; attention fills the same room afterwards */
  for (size_t i = 0; i < n; i++) s.positions[i] = (int32_t)(length + i);
  embed(m, z, s.x, ldc, tokens, n);
  size_t rows = n; /* carried on; the last layer keeps the last one */
  for (size_t l = 0; l < m->L; l++) {
    float *cache = s.cache + l * m->T * s.ldkv;
    const float *bias = layer_weight(m, l, QKV_B);
    struct projection p = projection_of(m, z, l, M_KV);
    rmsnorm_forward(s.n, ldc, rrms, s.x, ldc, layer_weight(m, l, NORM1), n, C);
    project(m, &s, &p, cache + length * s.ldkv, s.ldkv, s.n, ldc, n, bias + C);
    for (size_t i = 0; i < n; i++) rope_rotate(cache + (length + i) * s.ldkv, m->turns + (length + i) * hs, m->NH, hs, 1);
    const size_t skip = l + 1 == m->L ? n - 1 : 0;
    rows = n - skip;
    p = projection_of(m, z, l, M_Q);
    project(m, &s, &p, s.q, ldc, s.n + skip * ldc, ldc, rows, bias);
    for (size_t i = 0; i < rows; i++)
      rope_rotate(s.q + i * ldc, m->turns + (length + skip + i) * hs, m->NH, hs, 1);
    session_attention(m, &s, cache, skip, rows, length + n);
    if (skip) memmove(s.x, s.x + skip * ldc, C * sizeof(float));
    p = projection_of(m, z, l, M_PROJ);
    project(m, &s, &p, s.n, ldc, s.o, ldc, rows, layer_weight(m, l, PROJ_B));
    add_rows(s.x, ldc, s.n, ldc, rows, C);
    rmsnorm_forward(s.n, ldc, rrms, s.x, ldc, layer_weight(m, l, NORM2), rows, C);
    p = projection_of(m, z, l, M_FC1);
    project(m, &s, &p, s.u, s.ldu, s.n, ldc, rows, layer_weight(m, l, FC1_B));
    silu_rows(s.u, s.ldu, rows, 4 * C);
    p = projection_of(m, z, l, M_FC2);
    project(m, &s, &p, s.n, ldc, s.u, s.ldu, rows, layer_weight(m, l, FC2_B));
    add_rows(s.x, ldc, s.n, ldc, rows, C);
  }
  rmsnorm_forward(s.n, ldc, rrms, s.x, ldc, m->weights + final_norm_offset(m), 1, C);
  const struct projection head = projection_of_head(m, z);
  project(m, &s, &head, s.logits, m->V, s.n, ldc, 1, 0);
  memcpy(logits, s.logits, m->V * sizeof(float));
  /* The loss of a target is log(sum(exp(logits))) less its logit. */
  const int32_t target = 0;
  const float weight = 1;
  return softmax_cross_entropy(s.logits, m->V, &target, &weight, 1, m->V, 0) + (double)logits[0];
}
