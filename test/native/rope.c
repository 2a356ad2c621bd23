/* rope.c: tests of rope.c: angles and turns in double precision; backward undoes forward. */

static void check_rope(void) {
  const size_t sizes[] = {2, 6, 2 * VW - 2, 2 * VW, 2 * VW + 2, 64}, positions = 40, heads = 3;
  for (size_t s = 0; s < LENGTH(sizes); s++) {
    const size_t hs = sizes[s], half = hs / 2, C = heads * hs;
    begin("rope, head size %zu", hs);
    struct grid table = grid_new(1, positions * hs, positions * hs, 0), x = grid_random(positions, C, C + 2, 0);
    struct grid start = grid_new(positions, C, C + 2, 0);
    memcpy(start.block, x.block, x.words * sizeof(uint32_t));
    rope_table(table.at, positions, hs);
    check_guards(&table, "table");
    double *turned = doubles(3 * positions * C), *bound = turned + positions * C, *before = bound + positions * C;
    int table_ok = 1;
    for (size_t p = 0; p < positions; p++)
      for (size_t i = 0; i < half; i++) {
        const double angle = (double)p / pow(10000, (double)i / (double)half);
        table_ok &= fabs(table.at[p * hs + i] - cos(angle)) < UNIT && fabs(table.at[p * hs + half + i] - sin(angle)) < UNIT;
        for (size_t h = 0; h < heads; h++) {
          const size_t first = h * hs + i, at = p * C + first;
          const double a = *cell(&x, p, first), b = *cell(&x, p, first + half);
          turned[at] = a * cos(angle) - b * sin(angle);
          turned[at + half] = a * sin(angle) + b * cos(angle);
          before[at] = a;
          before[at + half] = b;
          bound[at] = bound[at + half] = 8 * UNIT * (fabs(a) + fabs(b));
        }
      }
    check(table_ok, "the table");
    for (size_t p = 0; p < positions; p++) rope_rotate(cell(&x, p, 0), table.at + p * hs, heads, hs, 1);
    check_output(&x, "turned", turned, bound);
    check(memcmp(cell(&x, 0, 0), cell(&start, 0, 0), C * sizeof(float)) == 0, "position 0 turns");
    for (size_t p = 0; p < positions; p++) rope_rotate(cell(&x, p, 0), table.at + p * hs, heads, hs, -1);
    for (size_t i = 0; i < positions * C; i++) bound[i] *= 2;
    check_output(&x, "turned back", before, bound);
    free(turned);
    grid_free(&table);
    grid_free(&x);
    grid_free(&start);
  }
}
