/* vectors.c: tests of vec.h: e^x over its whole range, NaN and infinities, sums and parts of vectors. */

static vf lanes_of(const float *x) { return vload(x); }

/* e^x of one number in every lane; lanes must agree. */
static float exp_of(float x) {
  float lane[VW];
  vstore(lane, vexp(vset1(x)));
  int same = 1;
  for (size_t i = 1; i < VW; i++) same &= bits_of(lane[i]) == bits_of(lane[0]);
  check(same, "the lanes differ at %.9g", (double)x);
  return lane[0];
}

static void check_vexp(void) {
  begin("vexp");
  const size_t steps = 60000 / VW * VW;
  double worst = 0, worst_x = 0;
  for (size_t i = 0; i <= steps; i += VW) {
    float x[VW], y[VW];
    for (size_t j = 0; j < VW; j++) x[j] = (float)(-87.0 + 175.0 * (double)(i + j < steps ? i + j : steps) / (double)steps);
    vstore(y, vexp(lanes_of(x)));
    for (size_t j = 0; j < VW; j++) {
      const double error = fabs((double)y[j] / exp((double)x[j]) - 1);
      if (error <= worst) continue;
      worst = error;
      worst_x = x[j];
    }
  }
  check(worst < 2e-7, "relative error %.3g at %.9g", worst, worst_x);
  /* Where the rounding of x / ln 2 turns over, the polynomial's argument is largest. */
  worst = 0;
  for (int n = -125; n < 126; n++)
    for (int side = -3; side <= 3; side++) {
      const float x = (float)((n + 0.5) * 0.69314718055994531) * (1 + (float)side * 1.2e-7f);
      const double error = fabs((double)exp_of(x) / exp((double)x) - 1);
      if (error > worst) worst = error;
    }
  check(worst < 2e-7, "relative error %.3g between two powers of 2", worst);
  check(exp_of(0.0f) == 1.0f && exp_of(-0.0f) == 1.0f, "e^0 is not 1");
  const float lowest = exp_of(-87.0f), highest = exp_of(88.0f);
  check(exp_of(-88.5f) == lowest && exp_of(-1e30f) == lowest && exp_of(-INFINITY) == lowest, "not saturated below");
  check(exp_of(89.0f) == highest && exp_of(1e30f) == highest && exp_of(INFINITY) == highest, "not saturated above");
  check(lowest > 0 && isfinite(highest), "the ends are %.9g and %.9g", (double)lowest, (double)highest);
  /* Of every payload: the exponent is made of a number's low bits. */
  for (uint32_t low = 0; low < 512; low++)
    for (uint32_t sign = 0; sign <= 1; sign++) {
      const uint32_t bits = sign << 31 | 0x7fc00000 | low;
      check(isnan(exp_of(float_of(bits))), "NaN %08x is lost", (unsigned)bits);
    }
}

static void check_silu(void) {
  begin("vsilu and vsigmoid");
  double worst = 0;
  for (int i = -3000; i <= 3000; i++) {
    const float x = (float)i / 50;
    const double sigmoid = 1 / (1 + exp(-(double)x));
    const double error = fabs((double)vsigmoid(vset1(x))[0] - sigmoid) / sigmoid;
    const double silu_error = fabs((double)vsilu(vset1(x))[VW - 1] - x * sigmoid) / (fabs(x * sigmoid) + 1e-30);
    if (error > worst) worst = error;
    if (silu_error > worst) worst = silu_error;
  }
  check(worst < 6e-7, "relative error %.3g", worst);
  check(isnan(vsilu(vset1(NAN))[0]), "NaN is lost");
  check(vsilu(vset1(1e30f))[0] == 1e30f, "silu(1e30) = %.9g", (double)vsilu(vset1(1e30f))[0]);
  check(fabsf(vsilu(vset1(-1e4f))[0]) < 1e-30f, "silu(-1e4) = %.9g", (double)vsilu(vset1(-1e4f))[0]);
}

static void check_lanes(void) {
  for (size_t at = 0; at < VW; at++) {
    begin("lane %zu", at);
    float x[VW], y[VW + 1];
    double sum = 0;
    for (size_t i = 0; i < VW; i++) sum += x[i] = random_float() - 2;
    x[at] += 3;
    sum += 3;
    check(fabs((double)vsum(lanes_of(x)) - sum) <= VW * UNIT * 3 * VW, "vsum: %.9g, expected %.9g",
          (double)vsum(lanes_of(x)), sum);
    check(vmaximum(lanes_of(x)) == x[at], "vmaximum: %.9g", (double)vmaximum(lanes_of(x)));
    vstore(y, vload_part(x, at));
    int ok = 1;
    for (size_t i = 0; i < VW; i++) ok &= y[i] == (i < at ? x[i] : 0);
    check(ok, "vload_part of %zu", at);
    memset(y, 0, sizeof y);
    vstore_part(y, lanes_of(x), at);
    for (size_t i = 0; i <= VW; i++) ok &= y[i] == (i < at ? x[i] : 0);
    check(ok, "vstore_part of %zu", at);
    for (size_t first = 0; first < 3 * VW; first += VW) {
      const vi mask = vmask_below(first, VW + at);
      for (size_t i = 0; i < VW; i++) ok &= mask[i] == (first + i < VW + at ? -1 : 0);
    }
    check(ok, "vmask_below %zu", VW + at);
    x[at] = NAN;
    check(isnan(vmax(vset1(1), lanes_of(x))[at]) && isnan(vmin(vset1(1), lanes_of(x))[at]), "a limit hides NaN");
    check(isnan(vsum(lanes_of(x))), "vsum hides NaN");
  }
  for (size_t n = 0; n <= 3 * VW + 1; n++) {
    begin("dot_product of %zu", n);
    struct grid a = grid_random(1, n, n + 1, 0), b = grid_random(1, n, n + 1, 0);
    double sum = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
      sum += (double)a.at[i] * b.at[i];
      size += fabs((double)a.at[i] * b.at[i]);
    }
    const float got = dot_product(a.at, b.at, n);
    check(fabs(got - sum) <= (double)(n + 2) * UNIT * size, "got %.9g, expected %.9g", (double)got, sum);
    grid_free(&a);
    grid_free(&b);
  }
}

static void check_vectors(void) {
  check_vexp();
  check_silu();
  check_lanes();
}
