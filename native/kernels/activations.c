/* activations.c: what a worker keeps from forward to backward and needs in between, carved out of one arena. */

#define PAD 16 /* floats behind each row of activations: rows 4096 bytes apart would share one cache set */

/* Under AddressSanitizer what lies behind each piece of an arena is forbidden ground; else one piece's end is the next one's begin. */
#ifdef __SANITIZE_ADDRESS__
void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#define GUARD 64 /* floats */
#else
#define GUARD 0
#endif

/* Carves `floats` out of the arena at *at, on a 64-byte boundary; with a null arena it only counts. */
static float *carve(float *arena, size_t *at, size_t floats) {
  float *p = arena ? arena + *at : 0;
  *at += round_up(floats + NR_MAX, 16) + GUARD;
#ifdef __SANITIZE_ADDRESS__
  if (arena) {
    __asan_unpoison_memory_region(p, floats * sizeof(float));
    __asan_poison_memory_region(p + floats, (size_t)((arena + *at) - (p + floats)) * sizeof(float));
  }
#endif
  return p;
}

/* Rows that are read by whole panels of NR columns, too, as the right operand of a product: the last one has room for that. */
static float *carve_rows(float *arena, size_t *at, size_t rows, size_t ld) { return carve(arena, at, rows * ld + NR); }

/* Kept from forward to backward, per layer. (T, ...) or, from q on in the last layer, (R, ...). */
struct layer_activations {
  float *x, *n1, *rrms1, *kv, *nq, *q, *lse, *o, *xm, *n2, *rrms2, *slope, *s;
};

struct activations {
  size_t ldc, ldkv, ldu, ldv;  /* row strides of (.., C), (.., 2C), (.., 4C), (.., V) */
  float *xf, *nf, *rrmsf, *logits;
  float *dx, *dx_all, *dn, *dnq, *dq, *dkv, *dout, *du, *branch;
  float *attention;
  float *spare, *spare_embedding; /* gradients of the second micro-batch of a pair */
  uint32_t *rounded, *paired; /* of a bfloat16 model: see gemm_bf16 and linear_grads */
  int32_t *positions, *query_positions, *query_starts;
  uint64_t *keys, *query_keys;
};

/* Lays out the scratch of one worker: no more of it is touched than the batch needs. `room`: of the batch, or of the largest. */
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
    k->n1 = carve_rows(arena, &at, room.rows, a->ldc);
    k->rrms1 = carve(arena, &at, room.rows);
    k->kv = carve_rows(arena, &at, room.rows, a->ldkv);
    k->nq = last ? carve_rows(arena, &at, queries, a->ldc) : k->n1;
    k->q = carve_rows(arena, &at, queries, a->ldc);
    k->lse = carve(arena, &at, queries * m->NH);
    k->o = carve_rows(arena, &at, queries, a->ldc);
    k->xm = carve(arena, &at, queries * a->ldc);
    k->n2 = carve_rows(arena, &at, queries, a->ldc);
    k->rrms2 = carve(arena, &at, queries);
    k->slope = carve(arena, &at, queries * a->ldu);
    k->s = carve_rows(arena, &at, queries, a->ldu);
  }
  a->xf = carve(arena, &at, room.scored * a->ldc);
  a->nf = carve_rows(arena, &at, room.scored, a->ldc);
  a->rrmsf = carve(arena, &at, room.scored);
  a->logits = carve(arena, &at, room.scored * a->ldv);
  a->dx = carve(arena, &at, room.rows * a->ldc);
  a->dx_all = carve(arena, &at, room.rows * a->ldc);
  a->dn = carve(arena, &at, room.rows * a->ldc);
  a->dnq = carve(arena, &at, room.scored * a->ldc);
  a->dq = carve(arena, &at, room.rows * a->ldc);
  a->dkv = carve(arena, &at, room.rows * a->ldkv);
  a->dout = carve_rows(arena, &at, room.rows, a->ldc);
  a->du = carve(arena, &at, room.rows * a->ldu);
  a->branch = carve(arena, &at, room.rows * a->ldc);
  a->spare = carve(arena, &at, C);
  a->spare_embedding = carve(arena, &at, room.pairs ? m->V * C : 0);
  a->attention = carve(arena, &at, attention_scratch(m->T, C / m->NH));
  const size_t widest = m->V > 4 * C ? m->V : 4 * C;
  a->rounded = (uint32_t *)carve(arena, &at, m->bf16 ? rounded_words(room.rows, widest) : 0);
  a->paired = (uint32_t *)carve(arena, &at, m->bf16 ? (room.pairs ? 2 : 1) * paired_words(widest + C) : 0);
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
