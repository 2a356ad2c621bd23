/* linear.c: linear layers as matrix products, in the precision of the model: forward, back, and the gradients of their weights. */

/* A product whose B is the panels of a weight matrix over K rows. */
INLINE struct gemm with_panels(struct gemm g, const float *panels, int bf16) {
  g.B = panels;
  g.b_panel = NR * (bf16 ? pairs_of(g.K) : g.K);
  g.b_row = NR;
  return g;
}

/* Y (rows, N) = X (rows, K) . W^T: the GEMM whose epilogue the caller chooses. */
INLINE struct gemm linear(const struct matrix_view *w, float *Y, size_t ldy, const float *X, size_t ldx, size_t rows,
                          const float *bias) {
  return with_panels((struct gemm){.M = rows, .N = w->N, .K = w->K, .A = X, .a_row = ldx, .a_col = 1, .C = Y, .ldc = ldy,
                                   .bias = bias}, w->forward, w->bf16);
}

/* dX (rows, K) = dY (rows, N) . W */
INLINE struct gemm linear_back(const struct matrix_view *w, float *dX, size_t ldx, const float *dY, size_t ldy,
                               size_t rows) {
  return with_panels((struct gemm){.M = rows, .N = w->K, .K = w->N, .A = dY, .a_row = ldy, .a_col = 1, .C = dX, .ldc = ldx},
                     w->backward, w->bf16);
}

/* A product with a weight matrix, in the precision of the model. rounded: see gemm_bf16. */
static void multiply(const struct model *m, const struct gemm *g, uint32_t *rounded) {
  if (m->bf16) gemm_bf16(g, rounded);
  else gemm(g);
}

#define DW_ROWS COLUMNS_K /* rows of X at a time */

/* Words of scratch for the pairs of at most DW_ROWS rows of dY and X, of all matrices with N + K <= `widths`. */
static size_t paired_words(size_t widths) { return pairs_of(DW_ROWS) * (widths + 2 * PAIR_PAD + NR_MAX); }

/* dW (N, K) = dY^T . X over `rows` <= DW_ROWS rows; in bfloat16 over pairs of rows, made in `paired`. Of the last row of X or of
 * its pairs up to NR - 1 words behind K are read. */
static struct gemm weight_grads(int bf16, float *dW, const float *dY, size_t ldy, const float *X, size_t ldx, size_t rows,
                                size_t N, size_t K, uint32_t *paired) {
  struct gemm g = {.M = N, .N = K, .K = rows, .A = dY, .a_row = 1, .a_col = ldy, .B = X, .b_panel = NR, .b_row = ldx,
                   .C = dW, .ldc = K};
  if (!bf16) return g;
  g = in_pairs(&g, paired);
  paired += g.K * g.a_col;
  g.B = (const float *)paired;
  g.b_row = round_up(K, NR) + PAIR_PAD;
  pair_rows(paired, g.b_row, X, ldx, rows, K, round_up(K, NR), TO_CACHE);
  return g;
}
static void add_weight_grads(int bf16, const struct gemm *first, const struct gemm *second) {
  if (bf16) gemm_pairs_by_columns(first, second);
  else gemm_by_columns(first, second);
}

/* Rows of a batch, and how many of them belong to the first micro-batch of the pair. */
struct rows {
  size_t all, first;
};

/* dW (N, K) = dY^T . X, db (N, or null) = column sums of dY; both overwritten. paired: of a bfloat16 model, room for
 * paired_words(N + K), twice for a pair of micro-batches. */
static void linear_grads(const struct model *m, float *dW, float *db, const float *dY, size_t ldy, const float *X,
                         size_t ldx, struct rows rows, size_t N, size_t K, uint32_t *paired) {
  if (db) column_sums(db, dY, ldy, rows.first, N, 0);
  if (rows.first < rows.all) {
    const size_t second = rows.all - rows.first;
    const float *dY2 = dY + rows.first * ldy, *X2 = X + rows.first * ldx;
    if (db) column_sums(db, dY2, ldy, second, N, 1);
    const struct gemm g = weight_grads(m->bf16, dW, dY, ldy, X, ldx, rows.first, N, K, paired);
    struct gemm h = weight_grads(m->bf16, dW, dY2, ldy, X2, ldx, second, N, K, paired + paired_words(N + K));
    h.epilogue = EPI_ADD;
    add_weight_grads(m->bf16, &g, &h);
    return;
  }
  if (rows.all == 0) memset(dW, 0, N * K * sizeof(float));
  const size_t blocks = (rows.all + DW_ROWS - 1) / DW_ROWS;
  for (size_t b = 0; b < blocks; b++) {
    const size_t first = rows.all * b / blocks, count = rows.all * (b + 1) / blocks - first;
    struct gemm g = weight_grads(m->bf16, dW, dY + first * ldy, ldy, X + first * ldx, ldx, count, N, K, paired);
    g.epilogue = b == 0 ? EPI_STORE : EPI_ADD;
    add_weight_grads(m->bf16, &g, 0);
  }
}
