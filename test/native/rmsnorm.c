/* rmsnorm.c: tests of rmsnorm.c: the formula in double precision, and backward against differences of it. */

/* Sum over channels of dy * y for one row, in double precision. */
static double rmsnorm_weighted(const double *x, const float *gain, const float *dy, size_t C) {
  double squares = 0, sum = 0;
  for (size_t c = 0; c < C; c++) squares += x[c] * x[c];
  for (size_t c = 0; c < C; c++) sum += dy[c] * x[c] / sqrt(squares / (double)C + 1e-6) * gain[c];
  return sum;
}

static void check_rmsnorm_of(size_t R, size_t C) {
  begin("rmsnorm, %zu rows of %zu", R, C);
  struct grid x = grid_random(R, C, C + 3, 0), gain = grid_random(1, C, C, 0), dy = grid_random(R, C, C + 1, 0);
  struct grid y = grid_new(R, C, C + 2, 0), rrms = grid_new(1, R, R, 0);
  struct grid dx = grid_random(R, C, C + 3, 0), dgain = grid_new(1, C, C, 0);
  memset(cell(&x, R - 1, 0), 0, C * sizeof(float)); /* the row that eps is for */

  double *expected = doubles(2 * R * C + 2 * R), *bound = expected + R * C;
  double *scale = bound + R * C, *scale_bound = scale + R;
  const double error = (double)(C + 8) * UNIT;
  for (size_t i = 0; i < R; i++) {
    double squares = 0;
    for (size_t c = 0; c < C; c++) squares += (double)*cell(&x, i, c) * *cell(&x, i, c);
    scale[i] = 1 / sqrt(squares / (double)C + 1e-6);
    scale_bound[i] = error * scale[i];
    for (size_t c = 0; c < C; c++) {
      expected[i * C + c] = *cell(&x, i, c) * scale[i] * gain.at[c];
      bound[i * C + c] = error * fabs(expected[i * C + c]);
    }
  }
  rmsnorm_forward(y.at, y.ld, rrms.at, x.at, x.ld, gain.at, R, C);
  check_output(&y, "y", expected, bound);
  check_output(&rrms, "rrms", scale, scale_bound);

  double *sums = doubles(2 * C), *sums_bound = sums + C;
  memset(sums, 0, 2 * C * sizeof(double));
  for (size_t i = 0; i < R; i++) {
    double dot = 0, size = 0;
    for (size_t c = 0; c < C; c++) {
      const double dyx = (double)*cell(&dy, i, c) * *cell(&x, i, c);
      dot += dyx * gain.at[c];
      size += fabs(dyx * gain.at[c]);
      sums[c] += dyx * scale[i];
      sums_bound[c] += (error + (double)R * UNIT) * fabs(dyx * scale[i]);
    }
    const double cubed = scale[i] * scale[i] * scale[i] / (double)C;
    for (size_t c = 0; c < C; c++) {
      const double direct = *cell(&dy, i, c) * gain.at[c] * scale[i], back = *cell(&x, i, c) * cubed;
      expected[i * C + c] = *cell(&dx, i, c) + direct - back * dot;
      bound[i * C + c] = 4 * error * (fabs(direct) + fabs(back) * size) + 2 * UNIT * fabs((double)*cell(&dx, i, c));
    }
  }
  rmsnorm_backward(dx.at, dgain.at, dy.at, dy.ld, x.at, x.ld, gain.at, rrms.at, R, C);
  check_output(&dx, "dx", expected, bound);
  check_output(&dgain, "dgain", sums, sums_bound);
  free(sums);
  free(expected);
  grid_free(&x);
  grid_free(&gain);
  grid_free(&dy);
  grid_free(&y);
  grid_free(&rrms);
  grid_free(&dx);
  grid_free(&dgain);
}

static void check_rmsnorm_differences(void) {
  const size_t C = 2 * VW + 1;
  begin("rmsnorm_backward against differences");
  struct grid x = grid_random(1, C, C, 0), gain = grid_random(1, C, C, 0), dy = grid_random(1, C, C, 0);
  struct grid y = grid_new(1, C, C, 0), dx = grid_new(1, C, C, 0), dgain = grid_new(1, C, C, 0);
  float rrms;
  memset(dx.at, 0, C * sizeof(float));
  rmsnorm_forward(y.at, C, &rrms, x.at, C, gain.at, 1, C);
  rmsnorm_backward(dx.at, dgain.at, dy.at, C, x.at, C, gain.at, &rrms, 1, C);
  double *moved = doubles(3 * C), *slope = moved + C, *bound = slope + C;
  for (size_t c = 0; c < C; c++) moved[c] = x.at[c];
  for (size_t c = 0; c < C; c++) {
    const double h = 1e-5;
    moved[c] += h;
    slope[c] = rmsnorm_weighted(moved, gain.at, dy.at, C);
    moved[c] -= 2 * h;
    slope[c] = (slope[c] - rmsnorm_weighted(moved, gain.at, dy.at, C)) / (2 * h);
    moved[c] += h;
    bound[c] = 1e-5;
  }
  check_close(&dx, "dx", slope, bound);
  free(moved);
  grid_free(&x);
  grid_free(&gain);
  grid_free(&dy);
  grid_free(&y);
  grid_free(&dx);
  grid_free(&dgain);
}

static void check_rmsnorm(void) {
  const size_t columns_of[] = {1, 2, 7, VW - 1, VW, VW + 1, 2 * VW + 3, 256};
  for (size_t n = 0; n < LENGTH(columns_of); n++) {
    check_rmsnorm_of(1, columns_of[n]);
    check_rmsnorm_of(5, columns_of[n]);
  }
  check_rmsnorm_of(174, 2 * VW + 3);
  check_rmsnorm_differences();

  begin("rmsnorm_forward of a NaN");
  struct grid x = grid_random(2, VW + 1, VW + 1, 0), y = grid_new(2, VW + 1, VW + 1, 0);
  float rrms[2], gain[VW + 1];
  for (size_t c = 0; c < VW + 1; c++) gain[c] = 1;
  x.at[0] = NAN;
  rmsnorm_forward(y.at, VW + 1, rrms, x.at, VW + 1, gain, 2, VW + 1);
  check(isnan(y.at[VW]) && isnan(rrms[0]), "its row doesn't show it");
  check(isfinite(rrms[1]) && isfinite(*cell(&y, 1, 0)), "the next row is touched");
  grid_free(&x);
  grid_free(&y);
}
