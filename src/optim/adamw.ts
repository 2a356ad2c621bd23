// AdamW over a slice of the flat parameter vector: the JavaScript form, to the bit what native/kernels/exact.c computes.

export interface AdamWSettings {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
}

/** Settings of one step as f32 numbers in the order that both forms read: see AdamWStep. */
export type AdamWStep = Float32Array;

/**
 * Packs what a step needs: lr, beta1, beta2, eps, weightDecay, clip, 1/(1 - beta1^step), 1/(1 - beta2^step).
 * step counts from 1. `clip` is the factor on the gradient.
 */
export function adamwStep(
  settings: AdamWSettings,
  step: number,
  clip: number,
  into: Float32Array = new Float32Array(8),
): AdamWStep {
  into[0] = settings.lr;
  into[1] = settings.beta1;
  into[2] = settings.beta2;
  into[3] = settings.eps;
  into[4] = settings.weightDecay;
  into[5] = clip;
  into[6] = 1 / (1 - settings.beta1 ** step);
  into[7] = 1 / (1 - settings.beta2 ** step);
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
  const [lr, beta1, beta2, eps, weightDecay, clip, unbias1, unbias2] = step;
  const new1 = f(1 - beta1);
  const new2 = f(1 - beta2);
  const keep = f(1 - f(lr * weightDecay));
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
