/* softmax_cross_entropy: loss of scored rows and, in place, the gradient of their logits.
 *   logits (R, V) in; out: weight * (softmax - onehot) if with_gradient, else untouched; row stride ld
 *   targets (R), weights (R) in; returns the sum over rows of weight * (logsumexp - logits[target]), in float64, in the order of rows */
static double softmax_cross_entropy(float *restrict logits, size_t ld, const int32_t *restrict targets,
                                    const float *restrict weights, size_t R, size_t V, int with_gradient) {
  double loss = 0;
  for (size_t i = 0; i < R; i++, logits += ld) {
    const size_t body = V - V % VW;
    float largest = -INFINITY;
    if (body) {
      vf top = vload(logits);
      for (size_t v = VW; v < body; v += VW) top = vmax(top, vload(logits + v));
      largest = vmaximum(top);
    }
    for (size_t v = body; v < V; v++) largest = logits[v] > largest ? logits[v] : largest;
    /* NaN hides from comparisons: the sum below still carries it into the loss. */
    vf sums = {0};
    const float at_target = logits[targets[i]];
    for (size_t v = 0; v < body; v += VW) {
      const vf e = vexp(vload(logits + v) - largest);
      sums += e;
      if (with_gradient) vstore(logits + v, e);
    }
    if (body < V) {
      vf rest = vset1(-INFINITY);
      memcpy(&rest, logits + body, (V - body) * sizeof(float));
      vf e = vexp(rest - largest);
      for (size_t v = 0; v < VW; v++)
        if (v >= V - body) e[v] = 0;
      sums += e;
      if (with_gradient) vstore_part(logits + body, e, V - body);
    }
    const float sum = vsum(sums);
    loss += (double)weights[i] * (log((double)sum) + (double)largest - (double)at_target);
    if (!with_gradient) continue;
    const float scale = weights[i] / sum;
    for (size_t v = 0; v < body; v += VW) vstore(logits + v, vload(logits + v) * scale);
    for (size_t v = body; v < V; v++) logits[v] *= scale;
    logits[targets[i]] -= weights[i];
  }
  return loss;
}
