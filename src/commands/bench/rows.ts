// How large the micro-batch is that the kernels are measured on.

import type { MicroBatchSize } from '../../bench/kernels.js';
import type { Corpus } from '../../data/corpus.js';
import { ConfigError } from '../../errors.js';

const MOST_ROWS = 65_536;

/** `--rows 174` -> 174; null where it isn't given. Throws ConfigError. */
export function parseRows(text: string | undefined): number | null {
  if (text === undefined) return null;
  const rows = Number(text);
  if (/^\d+$/.test(text) && rows >= 1 && rows <= MOST_ROWS) return rows;
  throw new ConfigError(
    `--rows ${text} is not a number of tokens.\n  Expected a whole number from 1 to ${MOST_ROWS}. For example: --rows 174`,
  );
}

/** Sequences as long as the data's are on average, that make up about `rows` tokens; without `rows`, a micro-batch of the data. */
export function microBatchSize(
  train: Pick<Corpus, 'tokens' | 'count'>,
  microBatch: number,
  rows: number | null,
): MicroBatchSize {
  const mean = Math.max(1, Math.round(train.tokens.length / train.count));
  if (rows === null) return { sequences: microBatch, tokens: mean };
  // The nearest number of sequences that divides the rows, so that there are exactly as many.
  const wanted = Math.max(1, rows / mean);
  const divisors = Array.from({ length: rows }, (_, i) => i + 1).filter((n) => rows % n === 0);
  const sequences = divisors.reduce((best, n) => (Math.abs(n - wanted) < Math.abs(best - wanted) ? n : best));
  return { sequences, tokens: rows / sequences };
}
