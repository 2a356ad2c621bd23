// The outcome of a tuning for programs: everything that the table and the words say, as numbers.

import type { Precision } from '../../engine/engine.js';
import { type Measurement, relativeSpread, tokensPerSec } from '../../tune/measurement.js';
import { type PrecisionComparison, timesAsFast } from '../../tune/precisions.js';
import type { Recommendation } from '../../tune/recommend.js';
import type { Grid } from '../../tune/settings.js';

export interface TuneOutcome {
  readonly measurements: readonly Measurement[];
  readonly recommendation: Recommendation;
  readonly grid: Grid;
  /** Processors that other programs used; null where that can't be told. */
  readonly othersBusy: number | null;
  /** What all settings were measured in, and what another one makes of the recommended setting; null where there is none. */
  readonly precision: Precision;
  readonly comparison: PrecisionComparison | null;
}

export function toJson({ measurements, recommendation, grid, othersBusy, precision, comparison }: TuneOutcome) {
  const { setting, doubts, ...figures } = recommendation;
  return {
    cores: { physical: grid.physical, logical: grid.logical },
    present: grid.present,
    precision,
    othersBusy,
    measurements: measurements.map((measurement) => ({
      ...measurement.setting,
      state: measurement.state,
      rounds: measurement.visits.length,
      tokensPerSec: numberOrNull(tokensPerSec(measurement)),
      spread: measurement.visits.length < 2 ? null : numberOrNull(relativeSpread(measurement)),
    })),
    recommendation: { ...setting, ...figures, isCertain: doubts.length === 0, doubts },
    otherPrecision: comparison === null ? null : comparisonToJson(comparison),
  };
}

function comparisonToJson(comparison: PrecisionComparison) {
  const { present, other, precisions, isEmulated } = comparison;
  const { value, error } = timesAsFast(comparison);
  return {
    precision: precisions.other,
    isEmulated,
    ...other.setting,
    rounds: other.visits.length,
    tokensPerSec: tokensPerSec(other),
    presentTokensPerSec: tokensPerSec(present),
    timesAsFast: value,
    error: numberOrNull(error),
  };
}

function numberOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
