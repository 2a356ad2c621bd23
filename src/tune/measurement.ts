// What was measured of the settings, and the figures that follow from it. Types and pure functions.

import type { Setting } from './settings.js';
import { type Estimate, estimate, median, spread } from './statistics.js';

/** The same few training steps, done once with one setting. */
export interface Visit {
  /** From 1; the visits of one round are near in time, so what disturbs the machine disturbs them alike. */
  readonly round: number;
  readonly ms: number;
  readonly tokens: number;
  /** Share of the time in which workers had work but no processor, 0 to 1. */
  readonly starved: number;
}

export type MeasurementState =
  /** Takes part in every round. */
  | 'measuring'
  /** So much slower than the best that more rounds won't change it. */
  | 'dropped'
  /** Its memory would not fit beside the others. */
  | 'too-large';

export interface Measurement {
  readonly setting: Setting;
  readonly visits: readonly Visit[];
  readonly state: MeasurementState;
}

/** Median over the visits; NaN before the first one. */
export function tokensPerSec({ visits }: Measurement): number {
  return median(visits.map(({ tokens, ms }) => (tokens / ms) * 1000));
}

/** Of the visits' speeds, as a share of their median. */
export function relativeSpread({ visits }: Measurement): number {
  const speeds = visits.map(({ tokens, ms }) => tokens / ms);
  return spread(speeds) / median(speeds);
}

/** How many times as long `slow` took as `fast`: compared round by round, where both took part. */
export function timeRatio(slow: Measurement, fast: Measurement): Estimate {
  const inRound = new Map(fast.visits.map((visit) => [visit.round, visit]));
  const ratios = slow.visits.flatMap((visit) => {
    const other = inRound.get(visit.round);
    return other === undefined ? [] : [visit.ms / visit.tokens / (other.ms / other.tokens)];
  });
  return estimate(ratios);
}
