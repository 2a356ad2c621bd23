// AdamW over a slice of the flat parameter vector: the JavaScript form, to the bit what native/kernels/exact.c computes.

export interface AdamWSettings {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
}

/** What a step needs, as f32 numbers in the order that both forms read. */
export type AdamWStep = Float32Array;

/** Length of an AdamWStep. */
export const ADAMW_STEP_LENGTH = 10;

/**
 * lr, beta1, 1 - beta1, beta2, 1 - beta2, eps, 1 - lr * weightDecay, clip, 1/(1 - beta1^step), 1/(1 - beta2^step): each computed
 * in f64 and rounded once. step counts from 1. `clip` is the factor on the gradient.
 */
export function adamwStep(
  { lr, beta1, beta2, eps, weightDecay }: AdamWSettings,
  step: number,
  clip: number,
  into: Float32Array = new Float32Array(ADAMW_STEP_LENGTH),
): AdamWStep {
  into.set([lr, beta1, 1 - beta1, beta2, 1 - beta2, eps, 1 - lr * weightDecay, clip]);
  into.set([1 / (1 - beta1 ** step), 1 / (1 - beta2 ** step)], 8);
  return into;
}

/**
 * One AdamW step over [begin, end) in place; weights, grads, m, v: f32, equal length. Weight decay is decoupled and applied to
 * every parameter: w = w * (1 - lr * decay) - lr * mHat / (sqrt(vHat) + eps). Loshchilov & Hutter 2017,
 * https://arxiv.org/abs/1711.05101. Every operation rounds to f32, in the order of the C form.
 */
export function adamw(
  weights: Float32Array,
  grads: Float32Array,
  m: Float32Array,
  v: Float32Array,
  begin: number,
  end: number,
  step: AdamWStep,
): void {
  const f = Math.fround;
  const [lr, beta1, new1, beta2, new2, eps, keep, clip, unbias1, unbias2] = step;
  for (let i = begin; i < end; i++) {
    const grad = f(grads[i] * clip);
    const m1 = f(f(beta1 * m[i]) + f(new1 * grad));
    const v1 = f(f(beta2 * v[i]) + f(new2 * f(grad * grad)));
    m[i] = m1;
    v[i] = v1;
    const denominator = f(f(Math.sqrt(f(v1 * unbias2))) + eps);
    weights[i] = f(f(weights[i] * keep) - f(lr * f(f(m1 * unbias1) / denominator)));
  }
}
