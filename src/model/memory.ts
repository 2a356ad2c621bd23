// How much memory a training run needs at least, before anything is allocated.

import { createParameterTable } from './parameters.js';
import type { ModelShape } from './shape.js';

/** Flat copies of the parameters besides the gradient slots: weights, two moments, two packed forms of the matrices. */
const COPIES = 5;

/** Bytes of the shared arena: f32 weights, AdamW moments, packed weights and one gradient for each micro-batch. */
export function arenaBytes(shape: ModelShape, microBatches: number): number {
  return createParameterTable(shape).flatLength * 4 * (COPIES + microBatches);
}
