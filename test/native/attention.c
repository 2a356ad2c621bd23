/* attention.c: tests of attention.c, and of attention_one of infer.c: one head in double precision, several blocks of queries,
 * queries that are a part of the positions, and backward against differences of forward. */

/* One head in double precision; all without gaps. Gradients only where dout is given. */
struct head {
  size_t queries, keys, hs;
  const int32_t *pos;
  const double *q, *k, *v, *dout;
  double *o, *lse, *dq, *dk, *dv;
};

static double dot(const double *a, const double *b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static void head_reference(const struct head *h) {
  const size_t hs = h->hs;
  const double scale = 1 / sqrt((double)hs);
  double *p = doubles(h->keys);
  memset(h->o, 0, h->queries * hs * sizeof(double));
  if (h->dout) {
    memset(h->dq, 0, h->queries * hs * sizeof(double));
    memset(h->dk, 0, h->keys * hs * sizeof(double));
    memset(h->dv, 0, h->keys * hs * sizeof(double));
  }
  for (size_t i = 0; i < h->queries; i++) {
    const size_t seen = (size_t)h->pos[i] + 1;
    const double *q = h->q + i * hs;
    double sum = 0, mean = 0;
    for (size_t j = 0; j < seen; j++) sum += p[j] = exp(dot(q, h->k + j * hs, hs) * scale);
    h->lse[i] = log(sum);
    for (size_t j = 0; j < seen; j++) {
      p[j] /= sum;
      for (size_t d = 0; d < hs; d++) h->o[i * hs + d] += p[j] * h->v[j * hs + d];
    }
    if (!h->dout) continue;
    const double *dout = h->dout + i * hs;
    for (size_t j = 0; j < seen; j++) mean += p[j] * dot(dout, h->v + j * hs, hs);
    for (size_t j = 0; j < seen; j++) {
      const double ds = p[j] * (dot(dout, h->v + j * hs, hs) - mean) * scale;
      for (size_t d = 0; d < hs; d++) {
        h->dv[j * hs + d] += p[j] * dout[d];
        h->dq[i * hs + d] += ds * h->k[j * hs + d];
        h->dk[j * hs + d] += ds * q[d];
      }
    }
  }
  free(p);
}

static double *as_doubles(const struct grid *g) {
  double *out = doubles(g->rows * g->columns);
  for (size_t i = 0; i < g->rows; i++)
    for (size_t j = 0; j < g->columns; j++) out[i * g->columns + j] = *cell(g, i, j);
  return out;
}

/* Errors of float32 here: scores up to 4 in size, made of hs products, are off by some 1e-6, which e^x turns into a relative
 * error; gradients of keys sum over queries. A wrong key or mask is off by 1e-3 and more. */
#define ATTENTION_ERROR 1e-5

static void check_within(const struct grid *g, const char *name, const double *expected) {
  const size_t n = g->rows * g->columns;
  double *bound = doubles(n);
  for (size_t i = 0; i < n; i++) bound[i] = ATTENTION_ERROR * (1 + fabs(expected[i]));
  check_output(g, name, expected, bound);
  free(bound);
}

/* pos: positions of the queries, ascending, below keys. */
static void check_head(const int32_t *pos, size_t queries, size_t keys, size_t hs) {
  begin("attention, %zu queries, %zu keys, head size %zu", queries, keys, hs);
  const size_t ldq = hs + 3, ldkv = hs + 5, ldo = hs + 2;
  struct grid q = grid_random(queries, hs, ldq, NR_MAX), k = grid_random(keys, hs, ldkv, NR_MAX);
  struct grid v = grid_random(keys, hs, ldkv, NR_MAX), dout = grid_random(queries, hs, ldo, NR_MAX);
  struct grid o = grid_new(queries, hs, ldo, 0), lse = grid_new(queries, 1, 3, 0);
  struct grid dq = grid_new(queries, hs, ldq, 0), dk = grid_new(keys, hs, ldkv, 0), dv = grid_new(keys, hs, ldkv, 0);
  struct grid scratch = grid_new(1, attention_scratch(keys, hs), attention_scratch(keys, hs), 0);
  for (size_t i = 0; i < queries; i++)
    for (size_t d = 0; d < hs; d++) *cell(&q, i, d) *= 3; /* some keys weigh far more than others */

  double *qd = as_doubles(&q), *kd = as_doubles(&k), *vd = as_doubles(&v), *dd = as_doubles(&dout);
  double *out = doubles(2 * queries * hs + queries), *dkd = doubles(2 * keys * hs);
  const struct head h = {.queries = queries, .keys = keys, .hs = hs, .pos = pos, .q = qd, .k = kd, .v = vd, .dout = dd,
                         .o = out, .dq = out + queries * hs, .lse = out + 2 * queries * hs, .dk = dkd,
                         .dv = dkd + keys * hs};
  head_reference(&h);
  const struct attention a = {.queries = queries, .keys = keys, .hs = hs, .pos = pos, .q = q.at, .k = k.at, .v = v.at,
                              .ldq = ldq, .ldkv = ldkv, .o = o.at, .ldo = ldo, .lse = lse.at, .lse_stride = lse.ld,
                              .dout = dout.at, .dq = dq.at, .dk = dk.at, .dv = dv.at, .scratch = scratch.at};
  attention_forward(&a);
  check_within(&o, "o", h.o);
  check_within(&lse, "lse", h.lse);
  check_guards(&scratch, "scratch");
  attention_backward(&a);
  check_within(&dq, "dq", h.dq);
  check_within(&dk, "dk", h.dk);
  check_within(&dv, "dv", h.dv);
  check_guards(&scratch, "scratch");

  /* attention_one sees all the keys it is given. */
  const size_t last = queries - 1, seen = (size_t)pos[last] + 1;
  struct grid one = grid_new(1, hs, hs, 0), scores = grid_new(1, seen, seen, VW);
  for (size_t j = 0; j < VW; j++) scores.at[seen + j] = 0; /* whole vectors are written */
  attention_one(one.at, cell(&q, last, 0), k.at, v.at, ldkv, seen, hs, scores.at);
  check_within(&one, "attention_one", h.o + last * hs);
  grid_free(&one);
  grid_free(&scores);

  free(qd);
  free(kd);
  free(vd);
  free(dd);
  free(out);
  free(dkd);
  struct grid *const all[] = {&q, &k, &v, &dout, &o, &lse, &dq, &dk, &dv, &scratch};
  for (size_t i = 0; i < LENGTH(all); i++) grid_free(all[i]);
}

/* d(sum of dout * o) by moving each number of q, k and v. */
static void check_attention_differences(void) {
  begin("attention_backward against differences");
  enum { QUERIES = 4, KEYS = 7, HS = 6 };
  static const int32_t pos[QUERIES] = {0, 2, 3, 6};
  struct grid q = grid_random(QUERIES, HS, HS, NR_MAX), k = grid_random(KEYS, HS, HS, NR_MAX);
  struct grid v = grid_random(KEYS, HS, HS, NR_MAX), dout = grid_random(QUERIES, HS, HS, NR_MAX);
  struct grid o = grid_new(QUERIES, HS, HS, 0), lse = grid_new(1, QUERIES, QUERIES, 0);
  struct grid dq = grid_new(QUERIES, HS, HS, 0), dk = grid_new(KEYS, HS, HS, 0), dv = grid_new(KEYS, HS, HS, 0);
  struct grid scratch = grid_new(1, attention_scratch(KEYS, HS), attention_scratch(KEYS, HS), 0);
  const struct attention a = {.queries = QUERIES, .keys = KEYS, .hs = HS, .pos = pos, .q = q.at, .k = k.at, .v = v.at,
                              .ldq = HS, .ldkv = HS, .o = o.at, .ldo = HS, .lse = lse.at, .lse_stride = 1,
                              .dout = dout.at, .dq = dq.at, .dk = dk.at, .dv = dv.at, .scratch = scratch.at};
  attention_forward(&a);
  attention_backward(&a);

  double *in[] = {as_doubles(&q), as_doubles(&k), as_doubles(&v)}, *weights = as_doubles(&dout);
  double out[QUERIES * HS], lses[QUERIES];
  const struct head h = {.queries = QUERIES, .keys = KEYS, .hs = HS, .pos = pos, .q = in[0], .k = in[1], .v = in[2],
                         .o = out, .lse = lses};
  const struct grid *const gradients[] = {&dq, &dk, &dv};
  static const char *const names[] = {"dq", "dk", "dv"};
  for (size_t which = 0; which < LENGTH(in); which++) {
    const size_t n = gradients[which]->rows * HS;
    double *slope = doubles(n);
    for (size_t i = 0; i < n; i++) {
      const double h2 = 2e-5;
      in[which][i] += h2 / 2;
      head_reference(&h);
      slope[i] = dot(out, weights, QUERIES * HS);
      in[which][i] -= h2;
      head_reference(&h);
      slope[i] = (slope[i] - dot(out, weights, QUERIES * HS)) / h2;
      in[which][i] += h2 / 2;
    }
    check_within(gradients[which], names[which], slope);
    free(slope);
  }
  for (size_t i = 0; i < LENGTH(in); i++) free(in[i]);
  free(weights);
  struct grid *const all[] = {&q, &k, &v, &dout, &o, &lse, &dq, &dk, &dv, &scratch};
  for (size_t i = 0; i < LENGTH(all); i++) grid_free(all[i]);
}

static void check_attention(void) {
  enum { MOST = 150 };
  int32_t every[MOST], some[MOST];
  for (int32_t i = 0; i < MOST; i++) {
    every[i] = i;
    some[i] = 5 + 2 * i + (i > 30); /* as the scored rows of the last layer */
  }
  const size_t lengths[] = {1, 2, VW - 1, VW, VW + 1, ATTENTION_BLOCK - 1, ATTENTION_BLOCK, ATTENTION_BLOCK + 1, ATTENTION_ROWS, ATTENTION_ROWS + 1, 110};
  const size_t head_sizes[] = {2, 6, VW, VW + 2, 32, 64};
  for (size_t n = 0; n < LENGTH(lengths); n++)
    for (size_t s = 0; s < LENGTH(head_sizes); s++) check_head(every, lengths[n], lengths[n], head_sizes[s]);
  check_head(some, 1, 6, 32);
  check_head(some, 1, 40, 32);
  check_head(some, 60, 130, 32);
  check_head(some, 60, 126, 6);
  check_head(some, 3, 2 * NR + 1, 64);
  check_attention_differences();

  begin("attention_forward of a NaN in one query");
  struct grid q = grid_random(3, 8, 8, NR_MAX), kv = grid_random(3, 8, 8, NR_MAX), o = grid_new(3, 8, 8, 0);
  struct grid scratch = grid_new(1, attention_scratch(3, 8), attention_scratch(3, 8), 0);
  float lse[3];
  *cell(&q, 1, 5) = NAN;
  attention_forward(&(struct attention){.queries = 3, .keys = 3, .hs = 8, .pos = every, .q = q.at, .k = kv.at, .v = kv.at,
                                        .ldq = 8, .ldkv = 8, .o = o.at, .ldo = 8, .lse = lse, .lse_stride = 1,
                                        .scratch = scratch.at});
  check(isnan(lse[1]) && isnan(*cell(&o, 1, 0)), "its row doesn't show it");
  check(isfinite(*cell(&o, 0, 0)) && isfinite(*cell(&o, 2, 0)), "other rows are touched");
  grid_free(&q);
  grid_free(&kv);
  grid_free(&o);
  grid_free(&scratch);
}
