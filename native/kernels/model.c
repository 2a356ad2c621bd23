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
  float *backward;     /* panels of W over K; null where only inference is wanted */
};

/* Rows and columns of a layer's matrices, in units of C. */
static const size_t matrix_rows[MATRICES_PER_LAYER] = {1, 2, 1, 4, 1}, matrix_columns[MATRICES_PER_LAYER] = {1, 1, 1, 1, 4};

/* Floats of the panels of a matrix (N, K). */
static size_t forward_floats(size_t N, size_t K) { return round_up(N, NR_MAX) * K; }
static size_t backward_floats(size_t N, size_t K) { return round_up(K, NR_MAX) * N; }

/* Floats of the panels of the first n matrices of a layer. */
struct panel_floats {
  size_t forward, backward;
};
static struct panel_floats layer_panels(size_t C, size_t n) {
  struct panel_floats sum = {0, 0};
  for (size_t i = 0; i < n; i++) {
    sum.forward += forward_floats(matrix_rows[i] * C, matrix_columns[i] * C);
    sum.backward += backward_floats(matrix_rows[i] * C, matrix_columns[i] * C);
  }
  return sum;
}

/* All forward panels come first, so that inference does with that part. */
static size_t all_forward_floats(const struct model *m) {
  return m->L * layer_panels(m->C, MATRICES_PER_LAYER).forward + forward_floats(m->V, m->C);
}
static size_t model_packed_floats(const struct model *m, int trains) {
  const size_t backward = m->L * layer_panels(m->C, MATRICES_PER_LAYER).backward + backward_floats(m->V, m->C);
  return all_forward_floats(m) + (trains ? backward : 0);
}

/* The matrix whose panels follow those of l layers and `before`. */
static struct matrix_view view_at(const struct model *m, size_t l, struct panel_floats before, const float *W, size_t N, size_t K) {
  const struct panel_floats layer = layer_panels(m->C, MATRICES_PER_LAYER);
  float *forward = m->packed + l * layer.forward + before.forward;
  float *backward = m->packed + all_forward_floats(m) + l * layer.backward + before.backward;
  return (struct matrix_view){W, N, K, forward, m->trains ? backward : 0};
}

static struct matrix_view layer_matrix(const struct model *m, size_t l, enum matrix which) {
  static const enum layer_parameter parameter[MATRICES_PER_LAYER] = {QKV_W, QKV_W, PROJ_W, FC1_W, FC2_W};
  const size_t C = m->C;
  const float *W = layer_weight(m, l, parameter[which]) + (which == M_KV ? C * C : 0);
  return view_at(m, l, layer_panels(C, which), W, matrix_rows[which] * C, matrix_columns[which] * C);
}

static struct matrix_view head_matrix(const struct model *m) {
  return view_at(m, m->L, (struct panel_floats){0, 0}, m->weights + m->offsets[0], m->V, m->C);
}

/* Rows [p * NR, p * NR + NR) of a matrix are one panel of `forward` and a strip of every panel of `backward`. */
static void pack_row_group(const struct model *m, const struct matrix_view *w, size_t p) {
  const size_t N = w->N, K = w->K, first = p * NR, n = N - first < NR ? N - first : NR;
  if (m->bf16) pair_panel_transposed((uint32_t *)w->forward + first * pairs_of(K), w->W, p, N, K);
  else pack_panel_transposed(w->forward + first * K, w->W, p, N, K);
  for (size_t k = 0; w->backward && k < K; k += NR) {
    const float *from = w->W + first * K + k;
    const size_t width = K - k < NR ? K - k : NR;
    if (m->bf16) pair_rows((uint32_t *)w->backward + k * pairs_of(N) + first / 2 * NR, from, n, width, K);
    else pack_rows(w->backward + k * N + first * NR, from, n, width, K);
  }
}

static struct matrix_view matrix_at(const struct model *m, size_t i) {
  if (i == m->L * MATRICES_PER_LAYER) return head_matrix(m);
  return layer_matrix(m, i / MATRICES_PER_LAYER, (enum matrix)(i % MATRICES_PER_LAYER));
}

/* Every group of NR rows of every matrix is one unit of work; rank takes each ranks-th, and steps its weights first if there
 * is an update: it then packs them out of its cache. */
static void pack_share(const struct model *m, size_t rank, size_t ranks, const struct update *u) {
  size_t unit = 0;
  for (size_t i = 0; i <= m->L * MATRICES_PER_LAYER; i++) {
    const struct matrix_view w = matrix_at(m, i);
    for (size_t p = 0; p * NR < w.N; p++, unit++) {
      if (unit % ranks != rank) continue;
      const size_t at = (size_t)(w.W - m->weights) + p * NR * w.K, n = w.N - p * NR < NR ? w.N - p * NR : NR;
      if (u) u->step(u->weights + at, u->grads + at, u->m + at, u->v + at, n * w.K, u->settings);
      pack_row_group(m, &w, p);
    }
  }
}

static void model_pack(const struct model *m, size_t rank, size_t ranks) { pack_share(m, rank, ranks, 0); }

/* Biases and gains are few: the last rank, which has the fewest matrix rows, takes them all. */
static void update_vectors(const struct model *m, const struct update *u) {
  static const enum layer_parameter vectors[] = {NORM1, QKV_B, PROJ_B, NORM2, FC1_B, FC2_B};
  static const size_t lengths[] = {1, 3, 1, 1, 4, 1}; /* times C */
  for (size_t i = 0; i <= m->L * 6; i++) {
    const size_t at = i < m->L * 6 ? (size_t)m->offsets[1 + i / 6 * PARAMETERS_PER_LAYER + vectors[i % 6]] : final_norm_offset(m);
    const size_t n = i < m->L * 6 ? lengths[i % 6] * m->C : m->C;
    u->step(u->weights + at, u->grads + at, u->m + at, u->v + at, n, u->settings);
  }
}

static void model_update(const struct model *m, size_t rank, size_t ranks, const struct update *u) {
  pack_share(m, rank, ranks, u);
  if (rank == ranks - 1) update_vectors(m, u);
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

/* A product with a weight matrix, in the precision of the model. rounded: see gemm_bf16. */
static void multiply(const struct model *m, const struct gemm *g, uint32_t *rounded) {
  if (m->bf16) gemm_bf16(g, rounded);
  else gemm(g);
}

#define DW_ROWS COLUMNS_K /* rows of X packed at a time: a panel of them stays in L1 or L2 */

/* dW (N, K) = dY^T . X over `rows` <= DW_ROWS rows, X packed into `panels`. */
static struct gemm weight_grads(const struct model *m, float *dW, const float *dY, size_t ldy, const float *X, size_t ldx,
                                size_t rows, size_t N, size_t K, float *panels) {
  if (!m->bf16) pack_rows(panels, X, rows, K, ldx);
  else
    for (size_t j = 0; j < K; j += NR)
      pair_rows((uint32_t *)panels + j * pairs_of(rows), X + j, rows, K - j < NR ? K - j : NR, ldx);
  return (struct gemm){.M = N, .N = K, .K = rows, .A = dY, .a_row = 1, .a_col = ldy, .B = panels, .b_panel = NR * rows,
                       .b_row = NR, .C = dW, .ldc = K};
}

/* Rows of a batch, and how many of them belong to the first micro-batch of the pair. */
struct rows {
  size_t all, first;
};

/* dW (N, K) = dY^T . X, db (N, or null) = column sums of dY; both overwritten. panels: room for DW_ROWS rows of X, twice for
 * a pair. */
static void linear_grads(const struct model *m, float *dW, float *db, const float *dY, size_t ldy, const float *X,
                         size_t ldx, struct rows rows, size_t N, size_t K, float *panels) {
  if (db) column_sums(db, dY, ldy, rows.first, N, 0);
  if (rows.first < rows.all) {
    const size_t second = rows.all - rows.first;
    const float *dY2 = dY + rows.first * ldy, *X2 = X + rows.first * ldx;
    if (db) column_sums(db, dY2, ldy, second, N, 1);
    struct gemm g = weight_grads(m, dW, dY, ldy, X, ldx, rows.first, N, K, panels);
    struct gemm h = weight_grads(m, dW, dY2, ldy, X2, ldx, second, N, K, panels + DW_ROWS * round_up(K, NR_MAX));
    h.epilogue = EPI_ADD;
    if (m->bf16) gemm_bf16_by_columns(&g, &h);
    else gemm_by_columns(&g, &h);
    return;
  }
  if (rows.all == 0) memset(dW, 0, N * K * sizeof(float));
  const size_t blocks = (rows.all + DW_ROWS - 1) / DW_ROWS;
  for (size_t b = 0; b < blocks; b++) {
    const size_t first = rows.all * b / blocks, count = rows.all * (b + 1) / blocks - first;
    struct gemm g = weight_grads(m, dW, dY + first * ldy, ldy, X + first * ldx, ldx, count, N, K, panels);
    g.epilogue = b == 0 ? EPI_STORE : EPI_ADD;
    multiply(m, &g, 0);
  }
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
  float *spare, *spare_embedding; /* gradients of the second micro-batch of a pair */
  uint32_t *rounded;
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
  a->panels = carve(arena, &at, (room.pairs ? 2 : 1) * DW_ROWS * round_up(4 * C, NR_MAX));
  a->spare = carve(arena, &at, C);
  a->spare_embedding = carve(arena, &at, room.pairs ? m->V * C : 0);
  a->attention = carve(arena, &at, attention_scratch(m->T, C / m->NH));
  a->rounded = (uint32_t *)carve(arena, &at, m->bf16 ? rounded_words(room.rows, m->V > 4 * C ? m->V : 4 * C) : 0);
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

static void model_forward(const struct model *m, float *scratch, struct capacity room, const struct batch *b,
                          struct dropout d, int keep_for_backward, double losses[2]) {
  struct pass p;
  struct activations *a = &p.a;
  const size_t C = m->C, hs = C / m->NH, T = b->rows;
  lay_out(m, scratch, room, a, p.layers);
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
  const struct rows all = {T, b->first_rows}, scored = {b->scored, b->first_scored};
  const int is_pair = b->first_rows < T;
  linear_grads(m, grads + m->offsets[0], 0, a->logits, a->ldv, a->nf, a->ldc, (struct rows){scored.first, scored.first}, V,
               C, a->panels);
  /* The rows of the embedding that the tokens read come at the end, so the two can't be added before. */
  if (is_pair)
    linear_grads(m, a->spare_embedding, 0, a->logits + scored.first * a->ldv, a->ldv, a->nf + scored.first * a->ldc, a->ldc,
                 (struct rows){b->scored - scored.first, b->scored - scored.first}, V, C, a->panels);
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
    linear_grads(m, GRAD(l, FC2_W), GRAD(l, FC2_B), dy, a->ldc, k->s, a->ldu, of_q, C, 4 * C, a->panels);
    w = layer_matrix(m, l, M_FC2);
    g = linear_back(&w, a->du, a->ldu, dy, a->ldc, q.rows);
    g.R = k->slope;
    g.ldr = a->ldu;
    g.epilogue = EPI_SCALE;
    multiply(m, &g, a->rounded);
    linear_grads(m, GRAD(l, FC1_W), GRAD(l, FC1_B), a->du, a->ldu, k->n2, a->ldc, of_q, 4 * C, C, a->panels);
    w = layer_matrix(m, l, M_FC1);
    g = linear_back(&w, a->dn, a->ldc, a->du, a->ldu, q.rows);
    multiply(m, &g, a->rounded);
    norm_grads(a->dx, GRAD(l, NORM2), a->dn, k->xm, a->ldc, layer_weight(m, l, NORM2), k->rrms2, of_q, C, a->spare);

    /* xm = x + proj(attention(norm1(x))) */
    dy = branch_gradient(a, q, d, site_proj(l), C);
    linear_grads(m, GRAD(l, PROJ_W), GRAD(l, PROJ_B), dy, a->ldc, k->o, a->ldc, of_q, C, C, a->panels);
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
    linear_grads(m, GRAD(l, QKV_W), GRAD(l, QKV_B), a->dq, a->ldc, k->nq, a->ldc, of_q, C, C, a->panels);
    linear_grads(m, GRAD(l, QKV_W) + C * C, GRAD(l, QKV_B) + C, a->dkv, a->ldkv, k->n1, a->ldc, all, 2 * C, C, a->panels);
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
