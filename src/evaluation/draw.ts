// A few rows that stand for many: drawn by a seed, so that two evaluations see the same ones.

import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { createRandom } from '../random.js';

/** `count` of the items without repetition, in their own order; all of them if there are no more. Fisher & Yates 1938, cut short. */
export function drawItems<T>(items: readonly T[], count: number, seed: number): readonly T[] {
  if (count >= items.length) return items;
  const random = createRandom(seed);
  const places = Int32Array.from(items.keys());
  for (let i = 0; i < count; i++) {
    const j = uniformInt(random, i, places.length - 1);
    [places[i], places[j]] = [places[j], places[i]];
  }
  return Array.from(places.subarray(0, count).sort(), (place) => items[place]);
}
