// Figures that a few disturbed measurements don't spoil: medians, and spreads made of medians. Pure.

/** NaN for no values. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Makes the median absolute deviation of a normal distribution its standard deviation: 1 / Φ⁻¹(3/4). */
const NORMAL = 1.4826;
/** Standard error of a median against that of a mean, for a normal distribution: sqrt(π / 2). */
const MEDIAN_ERROR = Math.sqrt(Math.PI / 2);

/** Median absolute deviation, scaled to estimate the standard deviation. Hampel 1974, https://doi.org/10.1080/01621459.1974.10482962 */
export function spread(values: readonly number[]): number {
  const centre = median(values);
  return NORMAL * median(values.map((value) => Math.abs(value - centre)));
}

export interface Estimate {
  readonly value: number;
  /** Standard error; infinite for fewer than three values, of which nothing can be told. */
  readonly error: number;
}

/** The median with what it may be off by. */
export function estimate(values: readonly number[]): Estimate {
  const error =
    values.length < 3 ? Number.POSITIVE_INFINITY : (MEDIAN_ERROR * spread(values)) / Math.sqrt(values.length);
  return { value: median(values), error };
}
