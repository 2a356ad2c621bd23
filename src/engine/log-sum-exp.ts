// The logarithm of a softmax's denominator, for engines whose kernels don't give it along with the logits.

/** log(sum(exp(logits))) in float64. Not finite if a logit is NaN or +Infinity. */
export function logSumExp(logits: Float32Array): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) if (logits[id] > max) max = logits[id];
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id] - max);
  return max + Math.log(sum);
}
