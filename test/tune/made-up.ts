// Measurements as a machine would give them, out of given speeds and disturbances.

import type { Measurement } from '../../src/tune/measurement.js';

export const TOKENS = 1000;

export interface MadeUp {
  readonly threads: number;
  readonly microBatch?: number;
  /** Milliseconds of each round, from the first on; null: took no part. */
  readonly ms: readonly (number | null)[];
  readonly starved?: number;
  readonly state?: Measurement['state'];
}

export function madeUp({ threads, microBatch = 4, ms, starved = 0.01, state = 'measuring' }: MadeUp): Measurement {
  const visits = ms.flatMap((time, i) => (time === null ? [] : [{ round: i + 1, ms: time, tokens: TOKENS, starved }]));
  return { setting: { threads, microBatch }, visits, state };
}

/** `rounds` times the same, each off by a share that goes round in a fixed pattern. */
export function noisy(ms: number, rounds: number, share: number, shift = 0): number[] {
  const pattern = [-1, 0.4, 0.9, -0.5, 0, -0.9, 1, 0.5, -0.3];
  return Array.from({ length: rounds }, (_, i) => ms * (1 + share * pattern[(i * 5 + shift) % pattern.length]));
}
