/* check.h: what the kernel tests share: a seeded generator, matrices with guards around them, comparisons that count.
 * A bound is an error that rounding can explain, so a wrong element can't hide in a norm; a NaN fails unless it is expected. */
#ifndef LOOM_CHECK_H
#define LOOM_CHECK_H

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARED static __attribute__((unused))
#define LENGTH(array) (sizeof(array) / sizeof(array)[0])
#define UNIT 5.9604644775390625e-8 /* 2^-24: the relative error of one float32 operation */

extern size_t checks, failures;
extern char subject[200];

/* Names what the next checks are about. */
SHARED __attribute__((format(printf, 1, 2))) void begin(const char *format, ...) {
  va_list values;
  va_start(values, format);
  vsnprintf(subject, sizeof subject, format, values);
  va_end(values);
}

/* One check; a failed one prints a line. */
SHARED __attribute__((format(printf, 2, 3))) void check(int ok, const char *format, ...) {
  checks++;
  if (ok) return;
  failures++;
  va_list values;
  va_start(values, format);
  printf("FAILED %s: ", subject);
  vprintf(format, values);
  printf("\n");
  va_end(values);
}

/* ---- random numbers: the same in every run and on every machine ------------------------------------------------------ */

extern uint64_t random_state;

/* 31 bits of a linear congruential generator, Knuth's MMIX. */
SHARED uint32_t random_bits(void) {
  random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
  return (uint32_t)(random_state >> 33);
}
/* [-1, 1), a multiple of 2^-23 */
SHARED float random_float(void) { return (float)((int32_t)(random_bits() >> 7) - (1 << 23)) / (float)(1 << 23); }

/* ---- matrices --------------------------------------------------------------------------------------------------------- */

#define CANARY 0x7fc0beefu /* a NaN: what reads it by mistake shows */
#if defined(__SANITIZE_ADDRESS__)
#define GUARD_WORDS 0 /* so that the sanitizer sees the end */
#else
#define GUARD_WORDS 64
#endif
/* Floats in front: rows don't start on a boundary, but where kernels are promised that the first one does. */
#define FRONT 3
#define ALIGNED_FRONT 16

struct grid {
  float *at; /* (rows, columns), row stride ld */
  size_t rows, columns, ld;
  uint32_t *block;
  size_t words, front;
};

SHARED uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
SHARED float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* On 64 bytes. */
SHARED void *allocate(size_t bytes) {
  void *p;
  if (posix_memalign(&p, 64, bytes > 0 ? bytes : 1) == 0) return p;
  fprintf(stderr, "kernels: out of memory\n");
  exit(2);
}

SHARED struct grid grid_behind(size_t front, size_t rows, size_t columns, size_t ld, size_t slack) {
  const size_t inside = rows > 0 ? (rows - 1) * ld + columns : 0;
  struct grid g = {.rows = rows, .columns = columns, .ld = ld, .words = front + inside + slack + GUARD_WORDS, .front = front};
  g.block = allocate(g.words * sizeof(uint32_t));
  for (size_t i = 0; i < g.words; i++) g.block[i] = CANARY;
  g.at = (float *)(void *)g.block + front;
  return g;
}
/* All canaries. `slack` floats behind the last row may be read, not written. */
SHARED struct grid grid_new(size_t rows, size_t columns, size_t ld, size_t slack) {
  return grid_behind(FRONT, rows, columns, ld, slack);
}
/* One row of all canaries, on 64 bytes. */
SHARED struct grid grid_aligned(size_t columns) { return grid_behind(ALIGNED_FRONT, 1, columns, columns, 0); }
SHARED void grid_free(struct grid *g) { free(g->block); }

SHARED float *cell(const struct grid *g, size_t i, size_t j) { return g->at + i * g->ld + j; }

SHARED void grid_fill(const struct grid *g) {
  for (size_t i = 0; i < g->rows; i++)
    for (size_t j = 0; j < g->columns; j++) *cell(g, i, j) = random_float();
}
SHARED struct grid grid_random(size_t rows, size_t columns, size_t ld, size_t slack) {
  const struct grid g = grid_new(rows, columns, ld, slack);
  grid_fill(&g);
  return g;
}

/* Nothing was written beside the rows. */
SHARED void check_guards(const struct grid *g, const char *name) {
  size_t broken = 0, first = 0;
  for (size_t w = 0; w < g->words; w++) {
    const size_t at = w - g->front;
    const int inside = w >= g->front && at / g->ld < g->rows && at % g->ld < g->columns;
    if (inside || g->block[w] == CANARY) continue;
    if (broken++ == 0) first = w;
  }
  check(broken == 0, "%s: %zu floats beside the rows were written, the first %td from the start", name, broken,
        (ptrdiff_t)(first - g->front));
}

/* expected, bound: (rows, columns) without gaps. */
SHARED void check_close(const struct grid *g, const char *name, const double *expected, const double *bound) {
  size_t wrong = 0, worst = 0;
  double worst_excess = -1;
  for (size_t i = 0; i < g->rows; i++)
    for (size_t j = 0; j < g->columns; j++) {
      const size_t at = i * g->columns + j;
      const double got = *cell(g, i, j), error = fabs(got - expected[at]);
      if (error <= bound[at]) continue;
      wrong++;
      const double excess = isnan(error) ? INFINITY : error / bound[at];
      if (excess > worst_excess) {
        worst_excess = excess;
        worst = at;
      }
    }
  const size_t i = wrong ? worst / g->columns : 0, j = wrong ? worst % g->columns : 0;
  check(wrong == 0, "%s: %zu of %zu wrong, worst at [%zu][%zu]: got %.9g, expected %.9g within %.3g", name, wrong,
        g->rows * g->columns, i, j, wrong ? (double)*cell(g, i, j) : 0, expected[wrong ? worst : 0],
        bound[wrong ? worst : 0]);
}

SHARED void check_output(const struct grid *g, const char *name, const double *expected, const double *bound) {
  check_close(g, name, expected, bound);
  check_guards(g, name);
}

/* Bit for bit; `what` words, compared where they differ. */
SHARED void check_words(const char *name, const uint32_t *got, const uint32_t *expected, size_t words) {
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < words; i++)
    if (got[i] != expected[i] && wrong++ == 0) first = i;
  check(wrong == 0, "%s: %zu of %zu words differ, the first [%zu]: got %08x, expected %08x", name, wrong, words, first,
        (unsigned)got[wrong ? first : 0], (unsigned)expected[wrong ? first : 0]);
}

SHARED double *doubles(size_t n) { return allocate(n * sizeof(double)); }

#endif
