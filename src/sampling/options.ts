// How an answer is made, as numbers and texts, with the defaults. Loads nothing, so that `--help` can show them.

export interface SamplingOptions {
  /** 0 = greedy: the largest logit wins, nothing is random, topK and topP play no part. */
  readonly temperature: number;
  /** How many of the likeliest tokens may be drawn; 0 = all. */
  readonly topK: number;
  /** Nucleus: draw from the smallest set of likeliest tokens whose probabilities sum to this; in (0, 1], 1 = all. */
  readonly topP: number;
}

export interface GenerateOptions extends SamplingOptions {
  /** At least 1. */
  readonly maxNewTokens: number;
  /** `<eos>` can't come before this many tokens; stop strings can. */
  readonly minTokens: number;
  /** Above 0; 1 = off. */
  readonly repetitionPenalty: number;
  /** How many of the answer's last tokens the penalty looks at. */
  readonly repetitionWindow: number;
  /** The answer ends before the first of these; none may be empty. */
  readonly stopStrings: readonly string[];
  /** Integer, 0 to MAX_SEED. Without effect at temperature 0. */
  readonly seed: number;
}

/** The random generator takes 32 bits. */
export const MAX_SEED = 2 ** 32 - 1;

export const DEFAULT_GENERATE_OPTIONS: GenerateOptions = {
  temperature: 0,
  topK: 0,
  topP: 1,
  maxNewTokens: 64,
  minTokens: 1,
  repetitionPenalty: 1,
  repetitionWindow: 16,
  stopStrings: [],
  seed: 0,
};
