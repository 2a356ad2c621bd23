// Seeded randomness: of the random start, of the order of the data, of sampling. The same seed gives the same numbers everywhere.

import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { skipN } from 'pure-rand/utils/skipN';

/**
 * The generator puts the seed into its state as it is, so its first numbers for small seeds are nearly equal
 * (0.999... for every seed below 1000). After 32 steps the state is mixed.
 */
const WARM_UP_STEPS = 32;

/** seed: any 32-bit integer. */
export function createRandom(seed: number): RandomGenerator {
  const random = xoroshiro128plus(seed);
  skipN(random, WARM_UP_STEPS);
  return random;
}
