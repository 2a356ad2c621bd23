// Floating-point operations of a training step: a multiply-add counts as two. What share of peak is computed from.

import type { ModelShape } from './shape.js';

export interface SequenceSize {
  readonly tokens: number;
  /** Positions whose next token is scored; the last layer's queries, its MLP and the head run over these alone. */
  readonly scored: number;
}

/** Useful FLOPs of forward and backward over one sequence: matrix products and causal attention, nothing for padding. */
export function trainingFlops(shape: ModelShape, { tokens: T, scored: R }: SequenceSize): number {
  const { nLayer: L, nEmbd: C, vocabSize: V } = shape;
  // Weights met by every token: qkv, proj, fc1, fc2 = 12 C^2 a layer; in the last layer k and v alone by all, the rest by R.
  const products = (L - 1) * 12 * C * C * T + 2 * C * C * T + 10 * C * C * R + V * C * R;
  // Scores and weighted values, half of the square for causality; R queries see about T keys each in the last layer.
  const attention = (L - 1) * T * (T + 1) * C + 2 * R * T * C;
  return 3 * 2 * products + 3 * 2 * attention;
}
