// How large what is measured is: the micro-batch of the kernels, the samples of the training steps.

import type { MicroBatchSize } from '../../bench/kernels.js';
import type { Corpus } from '../../data/corpus.js';
import type { Row } from '../../data/jsonl.js';
import { ConfigError } from '../../errors.js';

export interface BenchSizes {
  /** Tokens of the kernels' micro-batch; null: as in the data. */
  readonly rows: number | null;
  /** Least tokens of a sample; null: as in the data. */
  readonly sequence: number | null;
}

const MOST_ROWS = 65_536;
/** As model.seq_len allows. */
const MOST_TOKENS = 16_384;

/** `--rows 174 --sequence 512`, each null where it isn't given. Throws ConfigError. */
export function parseSizes(
  options: { readonly rows?: string; readonly sequence?: string },
  seqLen: number,
): BenchSizes {
  const rows = parseTokens('--rows', options.rows, MOST_ROWS, 174);
  const sequence = parseTokens('--sequence', options.sequence, MOST_TOKENS, 512);
  if (sequence !== null && sequence > seqLen) {
    throw new ConfigError(
      `--sequence ${sequence} is longer than the model reads: model.seq_len is ${seqLen}.\n` +
        `  Expected at most ${seqLen}. Raise it for this run: --set model.seq_len=${sequence}`,
    );
  }
  return { rows, sequence };
}

function parseTokens(flag: string, text: string | undefined, most: number, example: number): number | null {
  if (text === undefined) return null;
  const tokens = Number(text);
  if (/^\d+$/.test(text) && tokens >= 1 && tokens <= most) return tokens;
  throw new ConfigError(
    `${flag} ${text} is not a number of tokens.\n  Expected a whole number from 1 to ${most}. For example: ${flag} ${example}`,
  );
}

/**
 * Longer rows out of short ones: a question, its answer, and the answers behind it, until that makes `length` tokens or more by
 * `tokensOf`. Each row goes into one of them; the last one goes on with the first rows.
 */
export function joinRows(rows: readonly Row[], tokensOf: (text: string) => number, length: number): Row[] {
  const joined: Row[] = [];
  for (let next = 0; next < rows.length; ) {
    const first = rows[next];
    let completion = '';
    for (let tokens = tokensOf(first.prompt); tokens < length || completion === ''; next++) {
      const answer = rows[next % rows.length].completion;
      completion += answer;
      tokens += tokensOf(answer);
    }
    joined.push({ ...first, completion });
  }
  return joined;
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
