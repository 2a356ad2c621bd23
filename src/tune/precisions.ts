// How much faster training is in another precision, with the setting that was found best: both take turns, so that whatever drifts
// hits both alike. A precision is no setting, since it changes what a model learns: it is compared, and never chosen.

import type { Precision } from '../engine/engine.js';
import { type Measurement, timeRatio, type Visit } from './measurement.js';
import type { Trial } from './rounds.js';
import type { Setting } from './settings.js';
import type { Estimate } from './statistics.js';

/** The share of a budget that is left for the comparison where there is one to make. */
export const COMPARISON_SHARE = 0.15;
/** More tell no more. */
const MOST_ROUNDS = 8;

export interface ComparisonOptions {
  readonly setting: Setting;
  /** Opens the setting in the present precision, and in the other one. Null if there isn't memory enough. */
  readonly open: readonly [present: () => Promise<Trial | null>, other: () => Promise<Trial | null>];
  readonly budgetMs: number;
  /** Milliseconds by a clock that doesn't go back. */
  readonly now: () => number;
  readonly isCancelled: () => boolean;
}

/** The same setting, visited in the same rounds in both precisions. */
export interface Comparison {
  readonly present: Measurement;
  readonly other: Measurement;
}

export interface PrecisionComparison extends Comparison {
  readonly precisions: { readonly present: Precision; readonly other: Precision };
  /** Whether the processor lacks the instructions of one of the two. */
  readonly isEmulated: boolean;
}

/** Takes one round in any case, and more while they fit into the budget. Null if memory ran out or it was cancelled before that. */
export async function comparePrecisions(options: ComparisonOptions): Promise<Comparison | null> {
  const { setting, open, budgetMs, now, isCancelled } = options;
  const started = now();
  const trials: Trial[] = [];
  try {
    for (const openTrial of open) {
      const trial = isCancelled() ? null : await openTrial();
      if (trial === null) return null;
      trials.push(trial);
    }
    const visits = trials.map((): Visit[] => []);
    let longest = 0;
    for (let round = 1; round <= MOST_ROUNDS && !isCancelled(); round++) {
      const began = now();
      if (round > 1 && began + longest - started > budgetMs) break;
      // There and back again: the one before is another one every second round.
      for (const which of round % 2 === 1 ? [0, 1] : [1, 0]) {
        visits[which].push({ round, ...(await trials[which].visit()) });
      }
      longest = Math.max(longest, now() - began);
    }
    if (visits[0].length === 0) return null;
    const [present, other] = visits.map((of): Measurement => ({ setting, visits: of, state: 'measuring' }));
    return { present, other };
  } finally {
    for (const trial of trials) await trial.close();
  }
}

/** How many times as fast the other precision is; how far off that may be is unknown (infinite) below three rounds. */
export function timesAsFast({ present, other }: Comparison): Estimate {
  return timeRatio(present, other);
}
