// How sure a model was of an answer, from the probabilities it gave the tokens it chose. Numbers only.

export interface Confidence {
  /** Geometric mean: the length-th root of the answer's probability, so that long answers aren't called unsure for their length. */
  readonly mean: number;
  /** The least likely token's. */
  readonly min: number;
}

/**
 * probabilities: (tokens of the answer) of TokenEvents, each in [0, 1]: before bans, penalty, temperature and cuts, so sampling
 * flags don't change their scale. The `<eos>` doesn't count. null for an answer without tokens.
 */
export function confidenceOf(probabilities: readonly number[]): Confidence | null {
  if (probabilities.length === 0) return null;
  const logSum = probabilities.reduce((sum, p) => sum + Math.log(p), 0);
  return { mean: Math.exp(logSum / probabilities.length), min: Math.min(...probabilities) };
}

/** Whether an answer falls below `minMean`; 0 = never, and an answer without tokens falls below anything else. */
export function isBelow(confidence: Confidence | null, minMean: number): boolean {
  return minMean > 0 && (confidence === null || confidence.mean < minMean);
}
