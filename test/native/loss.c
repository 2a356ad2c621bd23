/* loss.c: tests of softmax_cross_entropy: loss and gradient in double precision, large logits, NaN and infinity. */

static void check_loss_of(size_t R, size_t V, double spread, double offset) {
  begin("softmax_cross_entropy, %zu rows of %zu, logits %g around %g", R, V, spread, offset);
  struct grid x = grid_new(R, V, V + 3, 0), weights = grid_new(1, R, R, 0);
  int32_t *targets = allocate(R * sizeof(int32_t));
  double *expected = doubles(2 * R * V), *bound = expected + R * V, loss = 0, loss_bound = 0;
  for (size_t i = 0; i < R; i++) {
    for (size_t v = 0; v < V; v++) *cell(&x, i, v) = (float)(offset + spread * random_float());
    weights.at[i] = 0.25f + (float)i;
    targets[i] = (int32_t)(i == 0 ? V - 1 : random_bits() % V);
    double largest = -INFINITY, sum = 0;
    for (size_t v = 0; v < V; v++) largest = fmax(largest, *cell(&x, i, v));
    for (size_t v = 0; v < V; v++) sum += exp(*cell(&x, i, v) - largest);
    /* A difference of logits is rounded once, and e^x multiplies that error by its argument. */
    const double error = 2 * UNIT * spread * 2 + (double)(V / VW + 24) * UNIT;
    for (size_t v = 0; v < V; v++) {
      const double p = exp(*cell(&x, i, v) - largest) / sum;
      expected[i * V + v] = weights.at[i] * (p - ((size_t)targets[i] == v));
      bound[i * V + v] = weights.at[i] * (2 * error * p + ((size_t)targets[i] == v ? 2 * UNIT : 0)) + 1e-37;
    }
    loss += weights.at[i] * (log(sum) + largest - *cell(&x, i, (size_t)targets[i]));
    loss_bound += weights.at[i] * error;
  }
  struct grid untouched = grid_new(R, V, V + 3, 0);
  memcpy(untouched.block, x.block, x.words * sizeof(uint32_t));
  const double without = softmax_cross_entropy(x.at, x.ld, targets, weights.at, R, V, 0);
  check(memcmp(untouched.block, x.block, x.words * sizeof(uint32_t)) == 0, "logits changed though no gradient was wanted");
  const double with = softmax_cross_entropy(x.at, x.ld, targets, weights.at, R, V, 1);
  check(with == without, "the loss is %.17g with gradient, %.17g without", with, without);
  check(fabs(with - loss) <= loss_bound, "loss %.9g, expected %.9g within %.3g", with, loss, loss_bound);
  check_output(&x, "gradient", expected, bound);
  free(targets);
  free(expected);
  grid_free(&x);
  grid_free(&weights);
  grid_free(&untouched);
}

static void check_loss(void) {
  const size_t classes[] = {1, 2, VW - 1, VW, VW + 1, 4 * VW + 3, 256, 824};
  for (size_t n = 0; n < LENGTH(classes); n++) {
    check_loss_of(1, classes[n], 1, 0);
    check_loss_of(5, classes[n], 30, 0);
    check_loss_of(3, classes[n], 3, -1000);
  }
  const float values[] = {NAN, INFINITY};
  const size_t V = 2 * VW + 3;
  for (size_t n = 0; n < LENGTH(values); n++)
    for (size_t at = 0; at < V; at++) {
      begin("softmax_cross_entropy with %g at %zu of %zu", (double)values[n], at, V);
      struct grid x = grid_random(1, V, V, 0);
      const int32_t target = 1;
      const float weight = 1;
      x.at[at] = values[n];
      check(!isfinite(softmax_cross_entropy(x.at, V, &target, &weight, 1, V, 0)), "the loss hides it");
      softmax_cross_entropy(x.at, V, &target, &weight, 1, V, 1);
      size_t not_finite = 0;
      for (size_t v = 0; v < V; v++) not_finite += !isfinite(x.at[v]);
      check(not_finite > 0, "the gradient hides it");
      grid_free(&x);
    }
}
