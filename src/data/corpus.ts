// All samples of a data set as token ids in shared memory: written once by the coordinator, read by every worker.

import { createHash } from 'node:crypto';
import { DataError } from '../errors.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import type { Row } from './jsonl.js';
import { type EncodedSample, encodeSample } from './template.js';

/** What a worker needs to see the samples; passes through workerData without being copied. */
export interface CorpusBuffers {
  readonly tokens: SharedArrayBuffer;
  readonly targets: SharedArrayBuffer;
  readonly starts: SharedArrayBuffer;
  readonly firstScoredRow: SharedArrayBuffer;
  readonly distinctOf: SharedArrayBuffer;
}

/** N samples, T tokens in all; every array is a view of shared memory, and nobody writes to it. */
export interface CorpusViews {
  readonly buffers: CorpusBuffers;
  /** N */
  readonly count: number;
  /** (T) the samples' tokens one after the other. */
  readonly tokens: Int32Array;
  /** (T) the token expected after each row, NOT_SCORED in a prompt. */
  readonly targets: Int32Array;
  /** (N + 1) place in `tokens` where each sample starts, then T. */
  readonly starts: Int32Array;
  /** (N) first scored row within the sample; all later ones are scored too, and there is at least one. */
  readonly firstScoredRow: Int32Array;
  /** (N) the first sample with the same tokens and targets; the sample itself where it is that one. */
  readonly distinctOf: Int32Array;
}

export interface Corpus extends CorpusViews {
  /** Samples that were cut to seqLen. */
  readonly truncated: number;
  /** Samples that equal no earlier one. */
  readonly distinctCount: number;
  /** SHA-256 over tokens, targets and starts, in hex (of little-endian machines). */
  readonly fingerprint: string;
}

/** Encodes the rows. Throws DataError for a row whose prompt leaves no room for an answer. */
export function createCorpus(rows: readonly Row[], tokenizer: Tokenizer, seqLen: number): Corpus {
  const samples = rows.map((row) => encodeRow(row, tokenizer, seqLen));
  const tokenCount = samples.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const views = attachCorpus(allocate(samples.length, tokenCount));
  let start = 0;
  samples.forEach(({ tokens, targets, firstScoredRow }, i) => {
    views.tokens.set(tokens, start);
    views.targets.set(targets, start);
    views.firstScoredRow[i] = firstScoredRow;
    start += tokens.length;
    views.starts[i + 1] = start;
  });
  return {
    ...views,
    truncated: samples.filter(({ truncated }) => truncated).length,
    distinctCount: markDistinct(views),
    fingerprint: fingerprintOf(views),
  };
}

/** Sees a corpus that another thread created; also the empty buffers while it is being created. */
export function attachCorpus(buffers: CorpusBuffers): CorpusViews {
  const firstScoredRow = new Int32Array(buffers.firstScoredRow);
  return {
    buffers,
    count: firstScoredRow.length,
    tokens: new Int32Array(buffers.tokens),
    targets: new Int32Array(buffers.targets),
    starts: new Int32Array(buffers.starts),
    firstScoredRow,
    distinctOf: new Int32Array(buffers.distinctOf),
  };
}

function encodeRow(row: Row, tokenizer: Tokenizer, seqLen: number): EncodedSample {
  const sample = encodeSample(tokenizer, row, seqLen);
  if (sample.firstScoredRow === sample.tokens.length) {
    throw new DataError(
      `${row.file} line ${row.line}: the prompt alone fills the whole sequence of ${seqLen} tokens, so there is no answer to learn.\n` +
        '  Shorten the prompt, or raise model.seq_len.',
    );
  }
  return sample;
}

function allocate(count: number, tokenCount: number): CorpusBuffers {
  const int32 = (length: number) => new SharedArrayBuffer(length * Int32Array.BYTES_PER_ELEMENT);
  return {
    tokens: int32(tokenCount),
    targets: int32(tokenCount),
    starts: int32(count + 1),
    firstScoredRow: int32(count),
    distinctOf: int32(count),
  };
}

/** Fills distinctOf; returns how many samples stand for themselves. */
function markDistinct({ tokens, targets, starts, distinctOf, count }: CorpusViews): number {
  const firstByContent = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const sample = createHash('sha256');
    for (const part of [tokens, targets]) sample.update(part.subarray(starts[i], starts[i + 1]));
    const content = sample.digest('base64');
    distinctOf[i] = firstByContent.get(content) ?? i;
    firstByContent.set(content, distinctOf[i]);
  }
  return firstByContent.size;
}

function fingerprintOf({ tokens, targets, starts }: CorpusViews): string {
  const hash = createHash('sha256');
  for (const part of [tokens, targets, starts]) hash.update(part);
  return hash.digest('hex');
}
