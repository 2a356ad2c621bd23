// The random start of a model.

import { createRandom } from '../random.js';
import type { ParameterTable } from './parameters.js';

/** Fills the flat vector as the table says: the same numbers for the same seed, in table order. Gaps become 0. */
export function initializeWeights(table: ParameterTable, seed: number, weights: Float32Array): void {
  const random = createRandom(seed);
  weights.fill(0);
  for (const { offset, length, init } of table.parameters) {
    if (init.kind === 'constant') {
      weights.fill(init.value, offset, offset + length);
      continue;
    }
    for (let i = 0; i < length; i += 2) {
      const [a, b] = normalPair(uniform(random.next()), uniform(random.next()));
      weights[offset + i] = a * init.std;
      if (i + 1 < length) weights[offset + i + 1] = b * init.std;
    }
  }
}

/** A 32-bit integer as a number in (0, 1). */
function uniform(bits: number): number {
  return ((bits >>> 0) + 0.5) / 2 ** 32;
}

/** Two independent standard normal numbers: Box & Muller 1958. */
function normalPair(u: number, v: number): [number, number] {
  const radius = Math.sqrt(-2 * Math.log(u));
  return [radius * Math.cos(2 * Math.PI * v), radius * Math.sin(2 * Math.PI * v)];
}
