/* passes.c: the whole forward and backward pass of one packed micro-batch; calls the kernels in the order of the formulas.
 * The last layer's queries, its MLP, the final norm and the head run over the scored rows alone (exact: nothing else reads
 * the other rows), so everything from the last attention on is (R, ...) instead of (T, ...). */

static void model_init(const struct model *m) { rope_table(m->turns, m->T, m->C / m->NH); }

/* Positions and dropout keys of the rows, and the same of the scored rows, which are the last layer's queries. */
static void index_rows(struct activations *a, const struct batch *b, struct dropout d) {
  size_t scored = 0;
  for (size_t s = 0; s < b->sequences; s++) {
    a->query_starts[s] = (int32_t)scored;
    for (int32_t row = b->starts[s]; row < b->starts[s + 1]; row++) {
      a->positions[row] = row - b->starts[s];
      if (d.rate > 0) a->keys[row] = dropout_key(d.seed, d.step, (uint32_t)b->sample_keys[s], (uint32_t)a->positions[row]);
      if (scored < b->scored && b->scored_rows[scored] == row) {
        a->query_positions[scored] = a->positions[row];
        a->query_keys[scored] = a->keys[row];
        scored++;
      }
    }
  }
  a->query_starts[b->sequences] = (int32_t)scored;
}

/* The rows that the queries of a layer stand for. */
struct queries {
  size_t rows, first; /* first: of the first micro-batch of a pair */
  const int32_t *starts, *positions;
  const uint64_t *keys;
};
static struct queries queries_of(const struct model *m, const struct activations *a, const struct batch *b, size_t l) {
  if (l + 1 == m->L) return (struct queries){b->scored, b->first_scored, a->query_starts, a->query_positions, a->query_keys};
  return (struct queries){b->rows, b->first_rows, b->starts, a->positions, a->keys};
}

static struct attention attention_of(const struct model *m, const struct activations *a,
                                     const struct layer_activations *k, const struct batch *b, struct queries q,
                                     size_t s, size_t h) {
  const size_t hs = m->C / m->NH, first = (size_t)q.starts[s], row = (size_t)b->starts[s];
  const size_t at_q = first * a->ldc + h * hs, at_kv = row * a->ldkv + h * hs;
  return (struct attention){
      .queries = (size_t)q.starts[s + 1] - first, .keys = (size_t)b->starts[s + 1] - row, .hs = hs,
      .pos = q.positions + first, .q = k->q + at_q, .k = k->kv + at_kv, .v = k->kv + at_kv + m->C,
      .ldq = a->ldc, .ldkv = a->ldkv, .o = k->o + at_q, .ldo = a->ldc, .lse = k->lse + first * m->NH + h,
      .lse_stride = m->NH, .dout = a->dout + at_q, .dq = a->dq + at_q, .dk = a->dkv + at_kv,
      .dv = a->dkv + at_kv + m->C, .scratch = a->attention};
}

/* Adds `branch` to the residual stream: out = x + dropout(X . W^T + bias). */
static void residual_linear(const struct model *m, const struct activations *a, const struct matrix_view *w, float *out,
                            const float *x, const float *X, size_t ldX, const float *bias, struct queries q,
                            struct dropout d, uint32_t site) {
  const size_t C = w->N;
  struct gemm g = linear(w, out, a->ldc, X, ldX, q.rows, bias);
  g.R = (float *)x;
  g.ldr = a->ldc;
  if (d.rate == 0) {
    g.epilogue = EPI_BIAS_RESIDUAL;
    multiply(m, &g, a->rounded);
    return;
  }
  g.C = a->branch;
  g.epilogue = EPI_BIAS;
  multiply(m, &g, a->rounded);
  dropout_rows(a->branch, a->ldc, a->branch, a->ldc, q.keys, site, d.rate, q.rows, C);
  for (size_t i = 0; i < q.rows; i++)
    for (size_t c = 0; c < C; c++) out[i * a->ldc + c] = x[i * a->ldc + c] + a->branch[i * a->ldc + c];
}

/* Dropout sites: 0 the embedding, then two a layer. */
INLINE uint32_t site_proj(size_t l) { return (uint32_t)(1 + 2 * l); }
INLINE uint32_t site_mlp(size_t l) { return (uint32_t)(2 + 2 * l); }

static struct capacity capacity_of(const struct batch *b) {
  return (struct capacity){b->rows, b->scored, b->sequences, b->first_rows < b->rows};
}

static void model_forward(const struct model *m, float *scratch, const struct batch *b, struct dropout d,
                          int keep_for_backward, double losses[2]) {
  struct pass p;
  struct activations *a = &p.a;
  const size_t C = m->C, hs = C / m->NH, T = b->rows;
  lay_out(m, scratch, capacity_of(b), a, p.layers);
  index_rows(a, b, d);
  losses[0] = losses[1] = 0;
  if (b->scored == 0) return;

  gather_rows(p.layers[0].x, a->ldc, m->weights + m->offsets[0], C, b->tokens, T, C);
  if (d.rate > 0) dropout_rows(p.layers[0].x, a->ldc, p.layers[0].x, a->ldc, a->keys, 0, d.rate, T, C);

  for (size_t l = 0; l < m->L; l++) {
    const struct layer_activations *k = &p.layers[l];
    const int last = l + 1 == m->L;
    const struct queries q = queries_of(m, a, b, l);
    const float *qkv_bias = layer_weight(m, l, QKV_B);
    struct matrix_view w;

    rmsnorm_forward(k->n1, a->ldc, k->rrms1, k->x, a->ldc, layer_weight(m, l, NORM1), T, C);
    w = layer_matrix(m, l, M_KV);
    struct gemm g = linear(&w, k->kv, a->ldkv, k->n1, a->ldc, T, qkv_bias + C);
    g.epilogue = EPI_BIAS;
    multiply(m, &g, a->rounded);
    if (last) gather_rows(k->nq, a->ldc, k->n1, a->ldc, b->scored_rows, q.rows, C);
    w = layer_matrix(m, l, M_Q);
    g = linear(&w, k->q, a->ldc, k->nq, a->ldc, q.rows, qkv_bias);
    g.epilogue = EPI_BIAS;
    multiply(m, &g, a->rounded);
    for (size_t i = 0; i < T; i++)
      rope_rotate(k->kv + i * a->ldkv, m->turns + (size_t)a->positions[i] * hs, m->NH, hs, 1);
    for (size_t i = 0; i < q.rows; i++)
      rope_rotate(k->q + i * a->ldc, m->turns + (size_t)q.positions[i] * hs, m->NH, hs, 1);
    for (size_t s = 0; s < b->sequences; s++)
      for (size_t h = 0; h < m->NH; h++) {
        const struct attention head = attention_of(m, a, k, b, q, s, h);
        attention_forward(&head);
      }
    const float *residual = k->x;
    if (last) {
      gather_rows(k->xm, a->ldc, k->x, a->ldc, b->scored_rows, q.rows, C);
      residual = k->xm;
    }
    w = layer_matrix(m, l, M_PROJ);
    residual_linear(m, a, &w, k->xm, residual, k->o, a->ldc, layer_weight(m, l, PROJ_B), q, d, site_proj(l));

    rmsnorm_forward(k->n2, a->ldc, k->rrms2, k->xm, a->ldc, layer_weight(m, l, NORM2), q.rows, C);
    w = layer_matrix(m, l, M_FC1);
    g = linear(&w, k->s, a->ldu, k->n2, a->ldc, q.rows, layer_weight(m, l, FC1_B));
    g.R = k->slope;
    g.ldr = a->ldu;
    g.epilogue = EPI_BIAS_SILU;
    multiply(m, &g, a->rounded);
    w = layer_matrix(m, l, M_FC2);
    residual_linear(m, a, &w, last ? a->xf : p.layers[l + 1].x, k->xm, k->s, a->ldu, layer_weight(m, l, FC2_B), q, d,
                    site_mlp(l));
  }
  rmsnorm_forward(a->nf, a->ldc, a->rrmsf, a->xf, a->ldc, m->weights + final_norm_offset(m), b->scored, C);
  const struct matrix_view head = head_matrix(m);
  struct gemm g = linear(&head, a->logits, a->ldv, a->nf, a->ldc, b->scored, 0);
  multiply(m, &g, a->rounded);
  const size_t first = b->first_scored;
  losses[0] = softmax_cross_entropy(a->logits, a->ldv, b->targets, b->row_weights, first, m->V, keep_for_backward);
  losses[1] = softmax_cross_entropy(a->logits + first * a->ldv, a->ldv, b->targets + first, b->row_weights + first,
                                    b->scored - first, m->V, keep_for_backward);
}

/* rmsnorm_backward over a pair. spare: room for C floats. */
static void norm_grads(float *dx, float *dgain, const float *dy, const float *x, size_t ld, const float *gain,
                       const float *rrms, struct rows rows, size_t C, float *spare) {
  const size_t at = rows.first * ld;
  rmsnorm_backward(dx, dgain, dy, ld, x, ld, gain, rrms, rows.first, C);
  if (rows.first == rows.all) return;
  rmsnorm_backward(dx + at, spare, dy + at, ld, x + at, ld, gain, rrms + rows.first, rows.all - rows.first, C);
  add_to(dgain, spare, C);
}

/* The gradient that enters a residual branch: dx itself, or its dropped-out copy. */
static const float *branch_gradient(const struct activations *a, struct queries q, struct dropout d, uint32_t site,
                                    size_t C) {
  if (d.rate == 0) return a->dx;
  dropout_rows(a->branch, a->ldc, a->dx, a->ldc, q.keys, site, d.rate, q.rows, C);
  return a->branch;
}

static void model_backward(const struct model *m, float *scratch, const struct batch *b, struct dropout d, float *grads) {
  struct pass p;
  struct activations *a = &p.a;
  const size_t C = m->C, hs = C / m->NH, T = b->rows, V = m->V;
  lay_out(m, scratch, capacity_of(b), a, p.layers);
#define GRAD(l, which) (grads + m->offsets[1 + (l) * PARAMETERS_PER_LAYER + (which)])

  /* The head: logits hold their gradient since forward. */
  const struct matrix_view head = head_matrix(m);
  const struct rows all = {T, b->first_rows}, scored = {b->scored, b->first_scored};
  const int is_pair = b->first_rows < T;
  linear_grads(m, grads + m->offsets[0], 0, a->logits, a->ldv, a->nf, a->ldc, (struct rows){scored.first, scored.first}, V,
               C, a->paired);
  /* The rows of the embedding that the tokens read come at the end, so the two can't be added before. */
  if (is_pair)
    linear_grads(m, a->spare_embedding, 0, a->logits + scored.first * a->ldv, a->ldv, a->nf + scored.first * a->ldc, a->ldc,
                 (struct rows){b->scored - scored.first, b->scored - scored.first}, V, C, a->paired);
  struct gemm g = linear_back(&head, a->dn, a->ldc, a->logits, a->ldv, b->scored);
  multiply(m, &g, a->rounded);
  memset(a->dx, 0, b->scored * a->ldc * sizeof(float));
  norm_grads(a->dx, grads + final_norm_offset(m), a->dn, a->xf, a->ldc, m->weights + final_norm_offset(m), a->rrmsf, scored,
             C, a->spare);

  for (size_t l = m->L; l-- > 0;) {
    const struct layer_activations *k = &p.layers[l];
    const int last = l + 1 == m->L;
    const struct queries q = queries_of(m, a, b, l);
    const struct rows of_q = {q.rows, q.first};
    struct matrix_view w;

    /* x_next = xm + fc2(silu(fc1(norm2(xm)))) */
    const float *dy = branch_gradient(a, q, d, site_mlp(l), C);
    linear_grads(m, GRAD(l, FC2_W), GRAD(l, FC2_B), dy, a->ldc, k->s, a->ldu, of_q, C, 4 * C, a->paired);
    w = layer_matrix(m, l, M_FC2);
    g = linear_back(&w, a->du, a->ldu, dy, a->ldc, q.rows);
    g.R = k->slope;
    g.ldr = a->ldu;
    g.epilogue = EPI_SCALE;
    multiply(m, &g, a->rounded);
    linear_grads(m, GRAD(l, FC1_W), GRAD(l, FC1_B), a->du, a->ldu, k->n2, a->ldc, of_q, 4 * C, C, a->paired);
    w = layer_matrix(m, l, M_FC1);
    g = linear_back(&w, a->dn, a->ldc, a->du, a->ldu, q.rows);
    multiply(m, &g, a->rounded);
    norm_grads(a->dx, GRAD(l, NORM2), a->dn, k->xm, a->ldc, layer_weight(m, l, NORM2), k->rrms2, of_q, C, a->spare);

    /* xm = x + proj(attention(norm1(x))) */
    dy = branch_gradient(a, q, d, site_proj(l), C);
    linear_grads(m, GRAD(l, PROJ_W), GRAD(l, PROJ_B), dy, a->ldc, k->o, a->ldc, of_q, C, C, a->paired);
    w = layer_matrix(m, l, M_PROJ);
    g = linear_back(&w, a->dout, a->ldc, dy, a->ldc, q.rows);
    multiply(m, &g, a->rounded);
    for (size_t s = 0; s < b->sequences; s++)
      for (size_t h = 0; h < m->NH; h++) {
        const struct attention head_of = attention_of(m, a, k, b, q, s, h);
        attention_backward(&head_of);
      }
    for (size_t i = 0; i < T; i++)
      rope_rotate(a->dkv + i * a->ldkv, m->turns + (size_t)a->positions[i] * hs, m->NH, hs, -1);
    for (size_t i = 0; i < q.rows; i++)
      rope_rotate(a->dq + i * a->ldc, m->turns + (size_t)q.positions[i] * hs, m->NH, hs, -1);
    linear_grads(m, GRAD(l, QKV_W), GRAD(l, QKV_B), a->dq, a->ldc, k->nq, a->ldc, of_q, C, C, a->paired);
    linear_grads(m, GRAD(l, QKV_W) + C * C, GRAD(l, QKV_B) + C, a->dkv, a->ldkv, k->n1, a->ldc, all, 2 * C, C, a->paired);
    w = layer_matrix(m, l, M_KV);
    g = linear_back(&w, a->dn, a->ldc, a->dkv, a->ldkv, T);
    multiply(m, &g, a->rounded);
    w = layer_matrix(m, l, M_Q);
    g = linear_back(&w, last ? a->dnq : a->dn, a->ldc, a->dq, a->ldc, q.rows);
    if (last) {
      /* From here on all rows carry a gradient again. */
      multiply(m, &g, a->rounded);
      scatter_add_rows(a->dn, a->ldc, a->dnq, a->ldc, b->scored_rows, q.rows, C);
      memset(a->dx_all, 0, T * a->ldc * sizeof(float));
      scatter_add_rows(a->dx_all, a->ldc, a->dx, a->ldc, b->scored_rows, q.rows, C);
      float *swap = a->dx;
      a->dx = a->dx_all;
      a->dx_all = swap;
    } else {
      g.epilogue = EPI_ADD;
      multiply(m, &g, a->rounded);
    }
    norm_grads(a->dx, GRAD(l, NORM1), a->dn, k->x, a->ldc, layer_weight(m, l, NORM1), k->rrms1, all, C, a->spare);
  }
  if (d.rate > 0) dropout_rows(a->dx, a->ldc, a->dx, a->ldc, a->keys, 0, d.rate, T, C);
  scatter_add_rows(grads + m->offsets[0], C, a->dx, a->ldc, b->tokens, all.first, C);
  if (!is_pair) return;
  scatter_add_rows(a->spare_embedding, C, a->dx + all.first * a->ldc, a->ldc, b->tokens + all.first, T - all.first, C);
  add_to(grads + m->offsets[0], a->spare_embedding, V * C);
#undef GRAD
}
