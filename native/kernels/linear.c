/* linear.c: linear layers as matrix products, in the precision of the model: forward, back, and the gradients of their weights. */

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

#define DW_ROWS COLUMNS_K /* rows of X at a time */

/* dW (N, K) = dY^T . X over `rows` <= DW_ROWS rows. X is read as it lies: NR columns of every panel, so of its last row up to NR - 1
 * floats behind K; as bfloat16 it is rounded into `panels` before. */
static struct gemm weight_grads(const struct model *m, float *dW, const float *dY, size_t ldy, const float *X, size_t ldx,
                                size_t rows, size_t N, size_t K, float *panels) {
  if (m->bf16) pack_operand(panels, X, rows, K, ldx, 1);
  return (struct gemm){.M = N, .N = K, .K = rows, .A = dY, .a_row = 1, .a_col = ldy, .B = m->bf16 ? panels : X,
                       .b_panel = NR, .b_row = ldx, .C = dW, .ldc = K};
}

/* Rows of a batch, and how many of them belong to the first micro-batch of the pair. */
struct rows {
  size_t all, first;
};

/* dW (N, K) = dY^T . X, db (N, or null) = column sums of dY; both overwritten. panels: of a bfloat16 model, room for DW_ROWS
 * rows of X, twice for a pair. */
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
