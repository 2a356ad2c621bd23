/* gemm.c: tests of the matrix products of gemm.c and linear_grads of linear.c: shapes around the tile and the panel,
 * every epilogue, A by rows and by columns, B in panels and as it lies. */

static const char *const epilogue_names[] = {"store", "add", "bias", "bias + residual", "bias + SiLU", "scale"};

/* To bfloat16 by distance: the nearer of the two neighbours in double precision, the even one of a tie. */
static uint16_t nearest_bf16(float x) {
  const uint32_t bits = bits_of(x), down = bits & 0xffff0000u;
  if (isnan(x)) return (uint16_t)(bits >> 16 | 0x40);
  if (isinf(x)) return (uint16_t)(bits >> 16);
  const double largest = 340282366920938463463374607431768211456.0; /* 2^128 stands for infinity */
  const float next = float_of(down + 0x10000);
  const double low = fabs((double)float_of(down)), high = isinf(next) ? largest : fabs((double)next);
  const double to_low = fabs((double)x) - low, to_high = high - fabs((double)x);
  const int up = to_high < to_low || (to_high == to_low && (down >> 16 & 1));
  return (uint16_t)((down >> 16) + (uint32_t)up);
}
static float to_bf16(float x) { return float_of((uint32_t)nearest_bf16(x) << 16); }

struct product {
  size_t M, N, K;
  struct grid a, a_columns, b; /* (M, K); its transpose (K, M); (K, N) */
  double *sums, *sizes;        /* A . B and |A| . |B| (M, N), of operands in the precision of the product */
};

static struct product product_new(size_t M, size_t N, size_t K) {
  struct product p = {.M = M, .N = N, .K = K};
  p.a = grid_random(M, K, K + 5, 0);
  p.a_columns = grid_new(K, M, M + 2, (MR + VW - 1) / VW * VW); /* read in whole vectors */
  for (size_t i = 0; i < M; i++)
    for (size_t k = 0; k < K; k++) *cell(&p.a_columns, k, i) = *cell(&p.a, i, k);
  p.b = grid_random(K, N, N + 1, NR_MAX);
  p.sums = doubles(M * N);
  p.sizes = doubles(M * N);
  return p;
}
static void product_free(struct product *p) {
  grid_free(&p->a);
  grid_free(&p->a_columns);
  grid_free(&p->b);
  free(p->sums);
  free(p->sizes);
}

static void product_reference(struct product *p, int bf16) {
  double *b = doubles(p->K * p->N);
  for (size_t k = 0; k < p->K; k++)
    for (size_t j = 0; j < p->N; j++) b[k * p->N + j] = bf16 ? to_bf16(*cell(&p->b, k, j)) : *cell(&p->b, k, j);
  for (size_t i = 0; i < p->M * p->N; i++) p->sums[i] = p->sizes[i] = 0;
  for (size_t i = 0; i < p->M; i++)
    for (size_t k = 0; k < p->K; k++) {
      const double a = bf16 ? to_bf16(*cell(&p->a, i, k)) : *cell(&p->a, i, k);
      for (size_t j = 0; j < p->N; j++) {
        const double ab = a * b[k * p->N + j];
        p->sums[i * p->N + j] += ab;
        p->sizes[i * p->N + j] += fabs(ab);
      }
    }
  free(b);
}

/* Panels of B; beyond N canaries, which must reach no result. */
static struct grid panels_of(const struct product *p, int bf16) {
  const size_t panels = (p->N + NR - 1) / NR, depth = bf16 ? (p->K + 1) / 2 : p->K;
  const struct grid out = grid_new(panels * depth, NR, NR, 0);
  for (size_t j = 0; j < p->N; j++)
    for (size_t k = 0; k < depth; k++) {
      float *to = cell(&out, j / NR * depth + k, j % NR);
      if (!bf16) *to = *cell(&p->b, k, j);
      else {
        const uint32_t even = nearest_bf16(*cell(&p->b, 2 * k, j));
        const uint32_t odd = 2 * k + 1 < p->K ? nearest_bf16(*cell(&p->b, 2 * k + 1, j)) : 0;
        const uint32_t pair = even | odd << 16;
        memcpy(to, &pair, sizeof pair);
      }
    }
  return out;
}

/* What the epilogue makes of a sum, and how much of its error it lets through. */
static void epilogue_reference(enum epilogue e, double sum, double error, double prior, double bias, double r, double *c,
                               double *c_bound, double *slope, double *slope_bound) {
  const double x = sum + bias, sigmoid = 1 / (1 + exp(-x));
  *c = sum;
  *c_bound = error;
  *slope = r;
  *slope_bound = 0;
  switch (e) {
    case EPI_STORE: break;
    case EPI_ADD: *c = prior + sum; break;
    case EPI_BIAS: *c = x; break;
    case EPI_BIAS_RESIDUAL: *c = r + x; break;
    case EPI_BIAS_SILU: /* silu's slope is below 1.1, its second derivative at most 0.5 */
      *c = x * sigmoid;
      *slope = sigmoid * (1 + x * (1 - sigmoid));
      *slope_bound = error * 0.5 + 1e-6 * (1 + fabs(x));
      *c_bound = error * 1.1 + 1e-6 * (1 + fabs(x));
      break;
    case EPI_SCALE:
      *c = sum * r;
      *c_bound = error * fabs(r);
      break;
  }
  *c_bound += 3 * UNIT * (fabs(*c) + fabs(bias) + fabs(prior) + fabs(r));
}

enum form { A_ROWS = 0, A_COLUMNS = 1, B_IN_PLACE = 2, R_IS_C = 4, BF16 = 8 };

static void check_product(const struct product *p, enum epilogue e, int form) {
  const int bf16 = (form & BF16) != 0, in_place = (form & B_IN_PLACE) != 0;
  begin("%s (%s), M %zu, N %zu, K %zu, A by %s, B %s%s", bf16 ? "gemm_bf16" : "gemm", epilogue_names[e], p->M, p->N, p->K,
        form & A_COLUMNS ? "columns" : "rows", in_place ? "as it lies" : "in panels", form & R_IS_C ? ", R is C" : "");
  const int has_bias = e == EPI_BIAS || e == EPI_BIAS_RESIDUAL || e == EPI_BIAS_SILU;
  const int reads_r = e == EPI_BIAS_RESIDUAL || e == EPI_SCALE, has_r = reads_r || e == EPI_BIAS_SILU;
  struct grid c = grid_new(p->M, p->N, p->N + 5, 0), r = grid_new(p->M, p->N, p->N + 3, 0);
  struct grid bias = grid_random(1, p->N, p->N, 0), panels = panels_of(p, bf16);
  if (e == EPI_ADD || form & R_IS_C) grid_fill(&c);
  if (reads_r) grid_fill(&r);

  const size_t all = p->M * p->N;
  double *expected = doubles(4 * all), *bound = expected + all, *slope = bound + all, *slope_bound = slope + all;
  for (size_t i = 0; i < p->M; i++)
    for (size_t j = 0; j < p->N; j++) {
      const size_t at = i * p->N + j;
      epilogue_reference(e, p->sums[at], (double)(p->K + 2) * UNIT * p->sizes[at], e == EPI_ADD ? *cell(&c, i, j) : 0,
                         has_bias ? bias.at[j] : 0, reads_r ? *cell(form & R_IS_C ? &c : &r, i, j) : 0, &expected[at],
                         &bound[at], &slope[at], &slope_bound[at]);
    }

  struct gemm g = {.M = p->M, .N = p->N, .K = p->K, .A = p->a.at, .a_row = p->a.ld, .a_col = 1,
                   .B = in_place ? p->b.at : panels.at, .b_panel = in_place ? NR : NR * (bf16 ? pairs_of(p->K) : p->K),
                   .b_row = in_place ? p->b.ld : NR, .C = c.at, .ldc = c.ld, .epilogue = e};
  if (form & A_COLUMNS) {
    g.A = p->a_columns.at;
    g.a_row = 1;
    g.a_col = p->a_columns.ld;
  }
  if (has_bias) g.bias = bias.at;
  if (has_r) {
    g.R = form & R_IS_C ? c.at : r.at;
    g.ldr = form & R_IS_C ? c.ld : r.ld;
  }
  if (bf16) {
    const size_t words = rounded_words(p->M, p->K);
    struct grid rounded = grid_new(1, words, words + 1, 0);
    gemm_bf16(&g, (uint32_t *)(void *)rounded.at);
    check_guards(&rounded, "rounded");
    grid_free(&rounded);
  } else {
    gemm(&g);
  }
  check_output(&c, "C", expected, bound);
  if (e == EPI_BIAS_SILU || (reads_r && !(form & R_IS_C))) check_close(&r, "R", slope, slope_bound);
  check_guards(&r, "R");
  free(expected);
  grid_free(&c);
  grid_free(&r);
  grid_free(&bias);
  grid_free(&panels);
}

static const size_t row_counts[] = {1, 2, 3, 4, 5, 6, 7, 13, VW + 1, 174, 256};
static const size_t widths[] = {1, 2, 5, 6, 7, VW - 1, VW, VW + 1, NR - 1, NR, NR + 1, 2 * NR + 3, 174, 256};

/* Every pair of M and N, with each K in turn; large ones with one epilogue only. */
static void check_products(int precision) {
  size_t turn = 0;
  for (size_t m = 0; m < LENGTH(row_counts); m++)
    for (size_t n = 0; n < LENGTH(widths); n++, turn++) {
      const size_t M = row_counts[m], N = widths[n], K = widths[(m * 5 + n) % LENGTH(widths)];
      struct product p = product_new(M, N, K);
      product_reference(&p, precision);
      for (int e = EPI_STORE; e <= EPI_SCALE; e++) {
        if (M * N * K > 300000 && turn % (EPI_SCALE + 1) != (size_t)e) continue;
        const int in_place = !precision && turn % 2 ? B_IN_PLACE : 0;
        check_product(&p, (enum epilogue)e, precision | A_ROWS | in_place);
        check_product(&p, (enum epilogue)e, precision | A_COLUMNS | (precision ? 0 : in_place ^ B_IN_PLACE));
        if (e == EPI_BIAS_RESIDUAL) check_product(&p, EPI_BIAS_RESIDUAL, precision | R_IS_C);
      }
      product_free(&p);
    }
}

/* A NaN or an infinity in one row of A reaches that row and no other. */
static void check_not_finite(int precision) {
  const float values[] = {NAN, INFINITY, -INFINITY};
  for (size_t v = 0; v < LENGTH(values); v++)
    for (int columns = 0; columns <= 1; columns++) {
      begin("gemm%s with %g in A by %s", precision ? "_bf16" : "", (double)values[v], columns ? "columns" : "rows");
      struct product p = product_new(8, NR + 3, 9);
      *cell(&p.a, 2, 4) = *cell(&p.a_columns, 4, 2) = values[v];
      struct grid c = grid_new(p.M, p.N, p.N, 0), panels = panels_of(&p, precision);
      const size_t words = rounded_words(p.M, p.K);
      struct grid rounded = grid_new(1, words, words, 0);
      const struct gemm g = {.M = p.M, .N = p.N, .K = p.K, .A = columns ? p.a_columns.at : p.a.at,
                             .a_row = columns ? 1 : p.a.ld, .a_col = columns ? p.a_columns.ld : 1, .B = panels.at,
                             .b_panel = NR * (precision ? pairs_of(p.K) : p.K), .b_row = NR, .C = c.at, .ldc = c.ld};
      if (precision) gemm_bf16(&g, (uint32_t *)(void *)rounded.at);
      else gemm(&g);
      int reached = 1, spread = 0;
      for (size_t i = 0; i < p.M; i++)
        for (size_t j = 0; j < p.N; j++) {
          const float x = *cell(&c, i, j), infinity = *cell(&p.b, 4, j) > 0 ? values[v] : -values[v];
          if (i != 2) spread |= !isfinite(x);
          else reached &= isnan(values[v]) ? isnan(x) : *cell(&p.b, 4, j) == 0 || x == infinity;
        }
      check(reached, "its row doesn't show it");
      check(!spread, "other rows are touched");
      grid_free(&c);
      grid_free(&panels);
      grid_free(&rounded);
      product_free(&p);
    }
}

static void check_one_row(void) {
  for (size_t n = 0; n < LENGTH(widths); n++)
    for (size_t k = 0; k < LENGTH(widths); k++)
      for (int has_bias = 0; has_bias <= 1; has_bias++) {
        struct product p = product_new(1, widths[n], widths[k]);
        begin("gemm_one_row, N %zu, K %zu, %s", p.N, p.K, has_bias ? "bias" : "no bias");
        product_reference(&p, 0);
        struct grid c = grid_new(1, p.N, p.N, 0), bias = grid_random(1, p.N, p.N, 0), panels = panels_of(&p, 0);
        for (size_t j = 0; j < p.N; j++) {
          p.sums[j] += has_bias ? bias.at[j] : 0;
          p.sizes[j] = (double)(p.K + 2) * UNIT * (p.sizes[j] + fabs((double)bias.at[j]));
        }
        gemm_one_row(&(struct gemm){.M = 1, .N = p.N, .K = p.K, .A = p.a.at, .a_row = p.a.ld, .a_col = 1, .B = panels.at,
                                    .b_panel = NR * p.K, .b_row = NR, .C = c.at, .ldc = c.ld,
                                    .bias = has_bias ? bias.at : 0});
        check_output(&c, "C", p.sums, p.sizes);
        grid_free(&c);
        grid_free(&bias);
        grid_free(&panels);
        product_free(&p);
      }
}

/* dW = dY^T . X and db, over blocks of at most COLUMNS_K rows, or over a pair of micro-batches of at most so many each. */
static void check_linear_grads(int precision) {
  const size_t whole[] = {0, 1, 6, 174, COLUMNS_K, COLUMNS_K + 1, 2 * COLUMNS_K + 3}, N = 13, K = NR + 3;
  const struct rows pairs[] = {{2, 1}, {7, 0}, {174, 171}, {2 * COLUMNS_K, COLUMNS_K}};
  const struct model m = {.bf16 = precision};
  for (size_t t = 0; t < LENGTH(whole) + LENGTH(pairs); t++) {
    const struct rows of = t < LENGTH(whole) ? (struct rows){whole[t], whole[t]} : pairs[t - LENGTH(whole)];
    const size_t rows = of.all;
    begin("linear_grads of %zu rows, the first %zu apart%s", rows, of.first, precision ? ", in bfloat16" : "");
    struct product p = product_new(N, K, rows);
    product_reference(&p, precision);
    struct grid dw = grid_new(N, K, K, 0), db = grid_new(1, N, N, 0);
    struct grid paired = grid_new(1, 2 * paired_words(N + K), 2 * paired_words(N + K), 0);
    double *sums = doubles(2 * N), *bound = sums + N;
    for (size_t n = 0; n < N; n++) {
      sums[n] = bound[n] = 0;
      for (size_t i = 0; i < rows; i++) {
        sums[n] += *cell(&p.a, n, i);
        bound[n] += (double)rows * UNIT * fabs((double)*cell(&p.a, n, i));
      }
    }
    for (size_t i = 0; i < N * K; i++) p.sizes[i] *= (double)(rows + 2) * UNIT;
    linear_grads(&m, dw.at, db.at, p.a_columns.at, p.a_columns.ld, p.b.at, p.b.ld, of, N, K, (uint32_t *)(void *)paired.at);
    check_output(&dw, "dW", p.sums, p.sizes);
    check_output(&db, "db", sums, bound);
    check_guards(&paired, "paired");
    free(sums);
    grid_free(&dw);
    grid_free(&db);
    grid_free(&paired);
    product_free(&p);
  }
}

static void check_gemm(void) {
  for (int precision = 0; precision <= BF16; precision += BF16) {
    check_products(precision);
    check_not_finite(precision);
    check_linear_grads(precision);
    begin("gemm%s of no rows", precision ? "_bf16" : "");
    struct grid c = grid_new(1, 1, 1, 0);
    const struct gemm none = {.M = 0, .N = 5, .K = 3, .a_row = 1, .a_col = 7, .C = c.at, .ldc = 5};
    if (precision) gemm_bf16(&none, 0);
    else gemm(&none);
    check(bits_of(c.at[0]) == CANARY, "C was written");
    grid_free(&c);
  }
  check_one_row();
}
