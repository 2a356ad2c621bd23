/* packing.c: the matrices of a model, where the panels of each lie, and what keeps them up to date: packing, and the optimizer
 * step that packs what it has just changed. */

INLINE const float *layer_weight(const struct model *m, size_t l, enum layer_parameter which) {
  return m->weights + m->offsets[1 + l * PARAMETERS_PER_LAYER + which];
}
INLINE size_t final_norm_offset(const struct model *m) { return m->offsets[1 + m->L * PARAMETERS_PER_LAYER]; }

/* The matrices that products read. q and kv are row ranges of the one qkv matrix: the last layer needs q for scored rows only. */
enum matrix { M_Q, M_KV, M_PROJ, M_FC1, M_FC2, MATRICES_PER_LAYER };

struct matrix_view {
  const float *W;      /* (N, K) */
  size_t N, K;
  float *forward;      /* panels of the transpose of W over N */
  float *backward;     /* panels of W over K; null where only inference is wanted */
  int bf16;            /* panels of pairs */
};

/* Rows and columns of a layer's matrices, in units of C. */
static const size_t matrix_rows[MATRICES_PER_LAYER] = {1, 2, 1, 4, 1}, matrix_columns[MATRICES_PER_LAYER] = {1, 1, 1, 1, 4};

/* Floats, or as long words of pairs, of the panels of a matrix (N, K). */
static size_t forward_floats(int bf16, size_t N, size_t K) { return round_up(N, NR_MAX) * (bf16 ? pairs_of(K) : K); }
static size_t backward_floats(int bf16, size_t N, size_t K) { return round_up(K, NR_MAX) * (bf16 ? pairs_of(N) : N); }

/* Floats of the panels of the first n matrices of a layer. */
struct panel_floats {
  size_t forward, backward;
};
static struct panel_floats layer_panels(const struct model *m, size_t n) {
  struct panel_floats sum = {0, 0};
  for (size_t i = 0; i < n; i++) {
    sum.forward += forward_floats(m->bf16, matrix_rows[i] * m->C, matrix_columns[i] * m->C);
    sum.backward += backward_floats(m->bf16, matrix_rows[i] * m->C, matrix_columns[i] * m->C);
  }
  return sum;
}

/* All forward panels come first, so that inference does with that part. */
static size_t all_forward_floats(const struct model *m) {
  return m->L * layer_panels(m, MATRICES_PER_LAYER).forward + forward_floats(m->bf16, m->V, m->C);
}
static size_t model_packed_floats(const struct model *m, int trains) {
  const size_t backward = m->L * layer_panels(m, MATRICES_PER_LAYER).backward + backward_floats(m->bf16, m->V, m->C);
  return all_forward_floats(m) + (trains ? backward : 0);
}

/* The matrix whose panels follow those of l layers and `before`. */
static struct matrix_view view_at(const struct model *m, size_t l, struct panel_floats before, const float *W, size_t N, size_t K) {
  const struct panel_floats layer = layer_panels(m, MATRICES_PER_LAYER);
  float *forward = m->packed + l * layer.forward + before.forward;
  float *backward = m->packed + all_forward_floats(m) + l * layer.backward + before.backward;
  return (struct matrix_view){W, N, K, forward, m->trains ? backward : 0, m->bf16};
}

static struct matrix_view layer_matrix(const struct model *m, size_t l, enum matrix which) {
  static const enum layer_parameter parameter[MATRICES_PER_LAYER] = {QKV_W, QKV_W, PROJ_W, FC1_W, FC2_W};
  const size_t C = m->C;
  const float *W = layer_weight(m, l, parameter[which]) + (which == M_KV ? C * C : 0);
  return view_at(m, l, layer_panels(m, which), W, matrix_rows[which] * C, matrix_columns[which] * C);
}

static struct matrix_view head_matrix(const struct model *m) {
  return view_at(m, m->L, (struct panel_floats){0, 0}, m->weights + m->offsets[0], m->V, m->C);
}

/* Rows [p * NR, p * NR + NR) of a matrix are one panel of `forward` and a strip of every panel of `backward`. */
static void pack_row_group(const struct model *m, const struct matrix_view *w, size_t p) {
  const size_t N = w->N, K = w->K, first = p * NR, n = N - first < NR ? N - first : NR;
  if (m->bf16) pair_panel_transposed((uint32_t *)w->forward + first * pairs_of(K), w->W, p, N, K, TO_MEMORY);
  else pack_panel_transposed(w->forward + first * K, w->W, p, N, K, TO_MEMORY);
  for (size_t k = 0; w->backward && k < K; k += NR) {
    const float *from = w->W + first * K + k;
    const size_t width = K - k < NR ? K - k : NR;
    if (m->bf16) pair_rows((uint32_t *)w->backward + k * pairs_of(N) + first / 2 * NR, NR, from, K, n, width, NR, TO_MEMORY);
    else pack_rows(w->backward + k * N + first * NR, from, n, width, K, TO_MEMORY);
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
  vstream_end();
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
