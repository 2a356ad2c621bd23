// A gradient against differences of the loss along its own direction.

import assert from 'node:assert/strict';
import type { TrainingEngine } from '../../src/engine/engine.js';
import type { ParityCase } from '../helpers/parity.js';

/** Slope of the loss along the gradient's own direction within [offset, offset + length): the gradient's norm there. */
export function slopeAlong(
  { weights }: ParityCase,
  engine: TrainingEngine,
  grads: Float32Array,
  offset: number,
  length: number,
  loss: () => number,
): number {
  const direction = grads.slice(offset, offset + length);
  const norm = normOf(direction);
  const before = weights.slice(offset, offset + length);
  const moved = (amount: number) => {
    for (let i = 0; i < length; i++) weights[offset + i] += (amount * direction[i]) / norm;
    engine.refresh(0, 1);
    const found = loss();
    weights.set(before, offset);
    return found;
  };
  const h = 1e-2;
  const slope = (moved(h) - moved(-h)) / (2 * h);
  engine.refresh(0, 1);
  return slope;
}

/** f32 losses of about 4 are good to 1e-6, so the slope to about 1e-4, beside the curvature h^2. */
export function assertSlope(name: string, slope: number, norm: number): void {
  assert.ok(Math.abs(slope - norm) < 5e-4 + 5e-3 * norm, `${name}: slope ${slope}, gradient norm ${norm}`);
}

export function normOf(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
}
