// How much memory a training run needs at least, before anything is allocated.

import { createParameterTable } from './parameters.js';
import type { ModelShape } from './shape.js';

/**
 * Flat copies of the parameters besides the gradient slots: weights and two moments; the same again, to be saved and to go back to;
 * the best weights. What an engine keeps for itself comes on top.
 */
const COPIES = 7;

/** Bytes that training certainly needs, all of f32: the copies above, and one gradient for each micro-batch. */
export function trainingBytes(shape: ModelShape, microBatches: number): number {
  return createParameterTable(shape).flatLength * 4 * (COPIES + microBatches);
}
