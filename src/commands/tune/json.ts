// The outcome of a tuning for programs: everything that the table and the words say, as numbers.

import { type Measurement, relativeSpread, tokensPerSec } from '../../tune/measurement.js';
import type { Recommendation } from '../../tune/recommend.js';
import type { Grid } from '../../tune/settings.js';

export interface TuneOutcome {
  readonly measurements: readonly Measurement[];
  readonly recommendation: Recommendation;
  readonly grid: Grid;
  /** Processors that other programs used; null where that can't be told. */
  readonly othersBusy: number | null;
}

export function toJson({ measurements, recommendation, grid, othersBusy }: TuneOutcome) {
  const { setting, doubts, ...figures } = recommendation;
  return {
    cores: { physical: grid.physical, logical: grid.logical },
    present: grid.present,
    othersBusy,
    measurements: measurements.map((measurement) => ({
      ...measurement.setting,
      state: measurement.state,
      rounds: measurement.visits.length,
      tokensPerSec: numberOrNull(tokensPerSec(measurement)),
      spread: measurement.visits.length < 2 ? null : numberOrNull(relativeSpread(measurement)),
    })),
    recommendation: { ...setting, ...figures, isCertain: doubts.length === 0, doubts },
  };
}

function numberOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
