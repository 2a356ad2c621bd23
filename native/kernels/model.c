/* model.c: the whole forward and backward pass of one packed micro-batch; calls the kernels in the order of the formulas.
 * The last layer's queries, its MLP, the final norm and the head run over the scored rows alone (exact: nothing else reads
 * the other rows), so everything from the last attention on is (R, ...) instead of (T, ...). */

#define PAD 16 /* floats behind each row of activations: rows 4096 bytes apart would share one cache set */

INLINE const float *layer_weight(const struct model *m, size_t l, enum layer_parameter which) {
  return m->weights + m->offsets[1 + l * PARAMETERS_PER_LAYER + which];
}
INLINE size_t final_norm_offset(const struct model *m) { return m->offsets[1 + m->L * PARAMETERS_PER_LAYER]; }

/* ---- packed weights ------------------------------------------------------------------------------------------------ */

/* The matrices that GEMMs read. q and kv are row ranges of the one qkv matrix: the last layer needs q for scored rows only. */
enum matrix { M_Q, M_KV, M_PROJ, M_FC1, M_FC2, MATRICES_PER_LAYER };

struct matrix_view {
  const float *W;      /* (N, K) */
  size_t N, K;
  float *forward;      /* panels of the transpose of W over N */
  float *backward;     /* panels of W over K */
};

static size_t packed_matrix_floats(size_t N, size_t K) { return round_up(N, NR_MAX) * K + round_up(K, NR_MAX) * N; }

static size_t packed_layer_floats(size_t C) {
  return packed_matrix_floats(C, C) * 2 + packed_matrix_floats(2 * C, C) + packed_matrix_floats(4 * C, C) +
         packed_matrix_floats(C, 4 * C);
}

static size_t model_packed_floats(const struct model *m) {
  return m->L * packed_layer_floats(m->C) + packed_matrix_floats(m->V, m->C);
}

static struct matrix_view view_at(float *at, const float *W, size_t N, size_t K) {
  return (struct matrix_view){W, N, K, at, at + round_up(N, NR_MAX) * K};
}

static struct matrix_view layer_matrix(const struct model *m, size_t l, enum matrix which) {
  const size_t C = m->C;
  float *at = m->packed + l * packed_layer_floats(C);
  const float *qkv = layer_weight(m, l, QKV_W);
  if (which == M_Q) return view_at(at, qkv, C, C);
  at += packed_matrix_floats(C, C);
  if (which == M_KV) return view_at(at, qkv + C * C, 2 * C, C);
  at += packed_matrix_floats(2 * C, C);
  if (which == M_PROJ) return view_at(at, layer_weight(m, l, PROJ_W), C, C);
  at += packed_matrix_floats(C, C);
  if (which == M_FC1) return view_at(at, layer_weight(m, l, FC1_W), 4 * C, C);
  at += packed_matrix_floats(4 * C, C);
  return view_at(at, layer_weight(m, l, FC2_W), C, 4 * C);
}

static struct matrix_view head_matrix(const struct model *m) {
  return view_at(m->packed + m->L * packed_layer_floats(m->C), m->weights + m->offsets[0], m->V, m->C);
}

/* Every panel of every matrix is one unit of work; rank takes each ranks-th. */
static void model_pack(const struct model *m, size_t rank, size_t ranks) {
  size_t unit = 0;
  for (size_t i = 0; i <= m->L * MATRICES_PER_LAYER; i++) {
    const struct matrix_view w = i < m->L * MATRICES_PER_LAYER
                                     ? layer_matrix(m, i / MATRICES_PER_LAYER, (enum matrix)(i % MATRICES_PER_LAYER))
                                     : head_matrix(m);
    for (size_t p = 0; p * NR < w.N; p++, unit++)
      if (unit % ranks == rank) pack_panel_transposed(w.forward + p * NR * w.K, w.W, p, w.N, w.K);
    for (size_t p = 0; p * NR < w.K; p++, unit++)
      if (unit % ranks == rank) pack_panel(w.backward + p * NR * w.N, w.W, p, w.N, w.K);
  }
}

static void model_init(const struct model *m) { rope_table(m->turns, m->T, m->C / m->NH); }

/* ---- linear layers -------------------------------------------------------------------------------------------------- */

/* Y (rows, N) = X (rows, K) . W^T: the GEMM whose epilogue the caller chooses. */
INLINE struct gemm linear(const struct matrix_view *w, float *Y, size_t ldy, const float *X, size_t ldx, size_t rows,
                          const float *bias) {
  return (struct gemm){.M = rows, .N = w->N, .K = w->K, .A = X, .a_row = ldx, .a_col = 1, .B = w->forward,
                       .b_panel = NR * w->K, .b_row = NR, .C = Y, .ldc = ldy, .bias = bias};
}

/* dX (rows, K) = dY (rows, N) . W */
INLINE struct gemm linear_back(const struct matrix_view *w, float *dX, size_t ldx, const float *dY, size_t ldy,
                               size_t rows) {
  return (struct gemm){.M = rows, .N = w->K, .K = w->N, .A = dY, .a_row = ldy, .a_col = 1, .B = w->backward,
                       .b_panel = NR * w->N, .b_row = NR, .C = dX, .ldc = ldx};
}

#define DW_ROWS 256 /* rows of X packed at a time: a panel of them stays in L1 or L2 */

/* dW (N, K) = dY^T . X, db (N, or null) = column sums of dY; both overwritten. panels: room for DW_ROWS rows of X. */
static void linear_grads(float *dW, float *db, const float *dY, size_t ldy, const float *X, size_t ldx, size_t rows,
                         size_t N, size_t K, float *panels) {
  if (db) column_sums(db, dY, ldy, rows, N);
  if (rows == 0) memset(dW, 0, N * K * sizeof(float));
  const size_t blocks = (rows + DW_ROWS - 1) / DW_ROWS;
  for (size_t b = 0; b < blocks; b++) {
    const size_t first = rows * b / blocks, count = rows * (b + 1) / blocks - first;
    pack_rows(panels, X + first * ldx, count, K, ldx);
    struct gemm g = {.M = N, .N = K, .K = count, .A = dY + first * ldy, .a_row = 1, .a_col = ldy, .B = panels,
                     .b_panel = NR * count, .b_row = NR, .C = dW, .ldc = K};
    g.epilogue = b == 0 ? EPI_STORE : EPI_ADD;
    gemm(&g);
  }
}

/* ---- activations ---------------------------------------------------------------------------------------------------- */

/* Kept from forward to backward, per layer. (T, ...) or, from q on in the last layer, (R, ...). */
struct layer_activations {
  float *x, *n1, *rrms1, *kv, *nq, *q, *lse, *o, *xm, *n2, *rrms2, *slope, *s;
};

struct activations {
  size_t ldc, ldkv, ldu, ldv;  /* row strides of (.., C), (.., 2C), (.., 4C), (.., V) */
  float *xf, *nf, *rrmsf, *logits;
  float *dx, *dx_all, *dn, *dnq, *dq, *dkv, *dout, *du, *branch;
  float *panels, *attention;
  int32_t *positions, *query_positions, *query_starts;
  uint64_t *keys, *query_keys;
};

/* Under AddressSanitizer what lies behind each piece of an arena is forbidden ground; else one piece's end is the next one's begin. */
#ifdef __SANITIZE_ADDRESS__
void __asan_poison_memory_region(void const volatile *addr, size_t size);
#define GUARD 64 /* floats */
#else
#define GUARD 0
#endif

/* Carves `floats` out of the arena at *at, on a 64-byte boundary; with a null arena it only counts. */
static float *carve(float *arena, size_t *at, size_t floats) {
  float *p = arena ? arena + *at : 0;
  *at += round_up(floats + NR_MAX, 16) + GUARD;
#ifdef __SANITIZE_ADDRESS__
  if (arena) __asan_poison_memory_region(p + floats, (size_t)((arena + *at) - (p + floats)) * sizeof(float));
#endif
  return p;
}

/* Lays out the scratch of one worker for micro-batches within `room`. */
static size_t lay_out(const struct model *m, float *arena, struct capacity room, struct activations *a,
                      struct layer_activations *layers) {
  const size_t C = m->C;
  size_t at = 0;
  a->ldc = C + PAD;
  a->ldkv = 2 * C + PAD;
  a->ldu = 4 * C + PAD;
  a->ldv = round_up(m->V, 16) + PAD;
  for (size_t l = 0; l < m->L; l++) {
    struct layer_activations none, *k = layers ? &layers[l] : &none;
    const int last = l + 1 == m->L;
    const size_t queries = last ? room.scored : room.rows;
    k->x = carve(arena, &at, room.rows * a->ldc);
    k->n1 = carve(arena, &at, room.rows * a->ldc);
    k->rrms1 = carve(arena, &at, room.rows);
    k->kv = carve(arena, &at, room.rows * a->ldkv);
    k->nq = last ? carve(arena, &at, queries * a->ldc) : k->n1;
    k->q = carve(arena, &at, queries * a->ldc);
    k->lse = carve(arena, &at, queries * m->NH);
    k->o = carve(arena, &at, queries * a->ldc);
    k->xm = carve(arena, &at, queries * a->ldc);
    k->n2 = carve(arena, &at, queries * a->ldc);
    k->rrms2 = carve(arena, &at, queries);
    k->slope = carve(arena, &at, queries * a->ldu);
    k->s = carve(arena, &at, queries * a->ldu);
  }
  a->xf = carve(arena, &at, room.scored * a->ldc);
  a->nf = carve(arena, &at, room.scored * a->ldc);
  a->rrmsf = carve(arena, &at, room.scored);
  a->logits = carve(arena, &at, room.scored * a->ldv);
  a->dx = carve(arena, &at, room.rows * a->ldc);
  a->dx_all = carve(arena, &at, room.rows * a->ldc);
  a->dn = carve(arena, &at, room.rows * a->ldc);
  a->dnq = carve(arena, &at, room.scored * a->ldc);
  a->dq = carve(arena, &at, room.rows * a->ldc);
  a->dkv = carve(arena, &at, room.rows * a->ldkv);
  a->dout = carve(arena, &at, room.rows * a->ldc);
  a->du = carve(arena, &at, room.rows * a->ldu);
  a->branch = carve(arena, &at, room.rows * a->ldc);
  a->panels = carve(arena, &at, DW_ROWS * round_up(4 * C, NR_MAX));
  a->attention = carve(arena, &at, attention_scratch(m->T, C / m->NH));
  a->positions = (int32_t *)carve(arena, &at, room.rows);
  a->query_positions = (int32_t *)carve(arena, &at, room.scored);
  a->query_starts = (int32_t *)carve(arena, &at, room.sequences + 1);
  a->keys = (uint64_t *)carve(arena, &at, 2 * room.rows);
  a->query_keys = (uint64_t *)carve(arena, &at, 2 * room.scored);
  return at;
}

struct pass {
  struct activations a;
  struct layer_activations layers[MAX_LAYERS];
};

static size_t training_floats(const struct model *m, struct capacity room) {
  struct pass p;
  const size_t floats = lay_out(m, 0, room, &p.a, 0);
  return floats;
}

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
  size_t rows;
  const int32_t *starts, *positions;
  const uint64_t *keys;
};
static struct queries queries_of(const struct model *m, const struct activations *a, const struct batch *b, size_t l) {
  if (l + 1 == m->L) return (struct queries){b->scored, a->query_starts, a->query_positions, a->query_keys};
  return (struct queries){b->rows, b->starts, a->positions, a->keys};
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
static void residual_linear(const struct activations *a, const struct matrix_view *w, float *out, const float *x,
                            const float *X, size_t ldX, const float *bias, struct queries q, struct dropout d,
                            uint32_t site) {
  const size_t C = w->N;
  struct gemm g = linear(w, out, a->ldc, X, ldX, q.rows, bias);
  g.R = (float *)x;
  g.ldr = a->ldc;
  if (d.rate == 0) {
    g.epilogue = EPI_BIAS_RESIDUAL;
    gemm(&g);
    return;
  }
  g.C = a->branch;
  g.epilogue = EPI_BIAS;
  gemm(&g);
  dropout_rows(a->branch, a->ldc, a->branch, a->ldc, q.keys, site, d.rate, q.rows, C);
  for (size_t i = 0; i < q.rows; i++)
    for (size_t c = 0; c < C; c++) out[i * a->ldc + c] = x[i * a->ldc + c] + a->branch[i * a->ldc + c];
}

/* Dropout sites: 0 the embedding, then two a layer. */
INLINE uint32_t site_proj(size_t l) { return (uint32_t)(1 + 2 * l); }
INLINE uint32_t site_mlp(size_t l) { return (uint32_t)(2 + 2 * l); }

static double model_forward(const struct model *m, float *scratch, struct capacity room,
                            const struct batch *b, struct dropout d, int keep_for_backward) {
  struct pass p;
  struct activations *a = &p.a;
  const size_t C = m->C, hs = C / m->NH, T = b->rows;
  lay_out(m, scratch, room, a, p.layers);
  index_rows(a, b, d);
  if (b->scored == 0) return 0;

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
    gemm(&g);
    if (last) gather_rows(k->nq, a->ldc, k->n1, a->ldc, b->scored_rows, q.rows, C);
    w = layer_matrix(m, l, M_Q);
    g = linear(&w, k->q, a->ldc, k->nq, a->ldc, q.rows, qkv_bias);
    g.epilogue = EPI_BIAS;
    gemm(&g);
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
    residual_linear(a, &w, k->xm, residual, k->o, a->ldc, layer_weight(m, l, PROJ_B), q, d, site_proj(l));

    rmsnorm_forward(k->n2, a->ldc, k->rrms2, k->xm, a->ldc, layer_weight(m, l, NORM2), q.rows, C);
    w = layer_matrix(m, l, M_FC1);
    g = linear(&w, k->s, a->ldu, k->n2, a->ldc, q.rows, layer_weight(m, l, FC1_B));
    g.R = k->slope;
    g.ldr = a->ldu;
    g.epilogue = EPI_BIAS_SILU;
    gemm(&g);
    w = layer_matrix(m, l, M_FC2);
    residual_linear(a, &w, last ? a->xf : p.layers[l + 1].x, k->xm, k->s, a->ldu, layer_weight(m, l, FC2_B), q, d,
                    site_mlp(l));
  }
  rmsnorm_forward(a->nf, a->ldc, a->rrmsf, a->xf, a->ldc, m->weights + final_norm_offset(m), b->scored, C);
  const struct matrix_view head = head_matrix(m);
  struct gemm g = linear(&head, a->logits, a->ldv, a->nf, a->ldc, b->scored, 0);
  gemm(&g);
  return softmax_cross_entropy(a->logits, a->ldv, b->targets, b->row_weights, b->scored, m->V, keep_for_backward);
}

/* The gradient that enters a residual branch: dx itself, or its dropped-out copy. */
static const float *branch_gradient(const struct activations *a, struct queries q, struct dropout d, uint32_t site,
                                    size_t C) {
  if (d.rate == 0) return a->dx;
  dropout_rows(a->branch, a->ldc, a->dx, a->ldc, q.keys, site, d.rate, q.rows, C);
  return a->branch;
}

static void model_backward(const struct model *m, float *scratch, struct capacity room,
                           const struct batch *b, struct dropout d, float *grads) {
  struct pass p;
  struct activations *a = &p.a;
  const size_t C = m->C, hs = C / m->NH, T = b->rows, V = m->V;
  lay_out(m, scratch, room, a, p.layers);
#define GRAD(l, which) (grads + m->offsets[1 + (l) * PARAMETERS_PER_LAYER + (which)])

  /* The head: logits hold their gradient since forward. */
  const struct matrix_view head = head_matrix(m);
  linear_grads(grads + m->offsets[0], 0, a->logits, a->ldv, a->nf, a->ldc, b->scored, V, C, a->panels);
  struct gemm g = linear_back(&head, a->dn, a->ldc, a->logits, a->ldv, b->scored);
  gemm(&g);
  memset(a->dx, 0, b->scored * a->ldc * sizeof(float));
  rmsnorm_backward(a->dx, grads + final_norm_offset(m), a->dn, a->ldc, a->xf, a->ldc, m->weights + final_norm_offset(m),
                   a->rrmsf, b->scored, C);

  for (size_t l = m->L; l-- > 0;) {
    const struct layer_activations *k = &p.layers[l];
    const int last = l + 1 == m->L;
    const struct queries q = queries_of(m, a, b, l);
    struct matrix_view w;

    /* x_next = xm + fc2(silu(fc1(norm2(xm)))) */
    const float *dy = branch_gradient(a, q, d, site_mlp(l), C);
    linear_grads(GRAD(l, FC2_W), GRAD(l, FC2_B), dy, a->ldc, k->s, a->ldu, q.rows, C, 4 * C, a->panels);
    w = layer_matrix(m, l, M_FC2);
    g = linear_back(&w, a->du, a->ldu, dy, a->ldc, q.rows);
    g.R = k->slope;
    g.ldr = a->ldu;
    g.epilogue = EPI_SCALE;
    gemm(&g);
    linear_grads(GRAD(l, FC1_W), GRAD(l, FC1_B), a->du, a->ldu, k->n2, a->ldc, q.rows, 4 * C, C, a->panels);
    w = layer_matrix(m, l, M_FC1);
    g = linear_back(&w, a->dn, a->ldc, a->du, a->ldu, q.rows);
    gemm(&g);
    rmsnorm_backward(a->dx, GRAD(l, NORM2), a->dn, a->ldc, k->xm, a->ldc, layer_weight(m, l, NORM2), k->rrms2, q.rows, C);

    /* xm = x + proj(attention(norm1(x))) */
    dy = branch_gradient(a, q, d, site_proj(l), C);
    linear_grads(GRAD(l, PROJ_W), GRAD(l, PROJ_B), dy, a->ldc, k->o, a->ldc, q.rows, C, C, a->panels);
    w = layer_matrix(m, l, M_PROJ);
    g = linear_back(&w, a->dout, a->ldc, dy, a->ldc, q.rows);
    gemm(&g);
    for (size_t s = 0; s < b->sequences; s++)
      for (size_t h = 0; h < m->NH; h++) {
        const struct attention head_of = attention_of(m, a, k, b, q, s, h);
        attention_backward(&head_of);
      }
    for (size_t i = 0; i < T; i++)
      rope_rotate(a->dkv + i * a->ldkv, m->turns + (size_t)a->positions[i] * hs, m->NH, hs, -1);
    for (size_t i = 0; i < q.rows; i++)
      rope_rotate(a->dq + i * a->ldc, m->turns + (size_t)q.positions[i] * hs, m->NH, hs, -1);
    linear_grads(GRAD(l, QKV_W), GRAD(l, QKV_B), a->dq, a->ldc, k->nq, a->ldc, q.rows, C, C, a->panels);
    linear_grads(GRAD(l, QKV_W) + C * C, GRAD(l, QKV_B) + C, a->dkv, a->ldkv, k->n1, a->ldc, T, 2 * C, C, a->panels);
    w = layer_matrix(m, l, M_KV);
    g = linear_back(&w, a->dn, a->ldc, a->dkv, a->ldkv, T);
    gemm(&g);
    w = layer_matrix(m, l, M_Q);
    g = linear_back(&w, last ? a->dnq : a->dn, a->ldc, a->dq, a->ldc, q.rows);
    if (last) {
      /* From here on all rows carry a gradient again. */
      gemm(&g);
      scatter_add_rows(a->dn, a->ldc, a->dnq, a->ldc, b->scored_rows, q.rows, C);
      memset(a->dx_all, 0, T * a->ldc * sizeof(float));
      scatter_add_rows(a->dx_all, a->ldc, a->dx, a->ldc, b->scored_rows, q.rows, C);
      float *swap = a->dx;
      a->dx = a->dx_all;
      a->dx_all = swap;
    } else {
      g.epilogue = EPI_ADD;
      gemm(&g);
    }
    rmsnorm_backward(a->dx, GRAD(l, NORM1), a->dn, a->ldc, k->x, a->ldc, layer_weight(m, l, NORM1), k->rrms1, T, C);
  }
  if (d.rate > 0) dropout_rows(a->dx, a->ldc, a->dx, a->ldc, a->keys, 0, d.rate, T, C);
  scatter_add_rows(grads + m->offsets[0], C, a->dx, a->ldc, b->tokens, T, C);
#undef GRAD
}
