// One row of a data file -> the model's greedy answer and its loss on the expected one. The answer comes from `generate`, as
// `infer` gives it; the loss is read off the same logits as long as the model says what was expected.

import type { Row } from '../data/jsonl.js';
import { type EncodedSample, encodePrompt, encodeSample } from '../data/template.js';
import type { InferenceEngine, InferenceSession } from '../engine/engine.js';
import { DataError } from '../errors.js';
import { type Confidence, confidenceOf } from '../sampling/confidence.js';
import { generate } from '../sampling/generate.js';
import { DEFAULT_GENERATE_OPTIONS } from '../sampling/options.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';

export interface RowAnswer {
  readonly answer: string;
  /** null for an answer without tokens. */
  readonly confidence: Confidence | null;
  /** Cross-entropy of the expected tokens, in nats, in order: those that training scores (the end twice; see encodeSample). */
  readonly nats: Float64Array;
  /** Whether the expected answer was cut to the model's sequence. */
  readonly isTruncated: boolean;
}

/** Throws DataError for a prompt that leaves no room for an answer, NonFiniteError for logits that are NaN or infinite. */
export async function answerRow(engine: InferenceEngine, tokenizer: Tokenizer, row: Row): Promise<RowAnswer> {
  const { seqLen } = engine.shape;
  throwIfNoRoom(row, encodePrompt(tokenizer, row.prompt).length, seqLen);
  const sample = encodeSample(tokenizer, row, seqLen);
  const scored = createScoredEngine(engine, sample);
  const expectedTokens = sample.tokens.length - sample.firstScoredRow;
  // At least what `infer` shows, and no right answer is cut off.
  const maxNewTokens = Math.max(DEFAULT_GENERATE_OPTIONS.maxNewTokens, expectedTokens);
  const probabilities: number[] = [];
  let answer = '';
  const options = { ...DEFAULT_GENERATE_OPTIONS, maxNewTokens };
  for await (const event of generate(scored.engine, tokenizer, row.prompt, options)) {
    if (event.type === 'token') probabilities.push(event.probability);
    if (event.type === 'end') answer = event.text;
  }
  const nats = scored.finish();
  return { answer, confidence: confidenceOf(probabilities), nats, isTruncated: sample.truncated };
}

interface ScoredEngine {
  /** For one session, which must begin with the sample's prompt. */
  readonly engine: InferenceEngine;
  /** Takes the session back to where it left the sample, follows the sample to its end, and returns the losses of all scored rows. */
  finish(): Float64Array;
}

/** As long as the session holds the sample's own tokens, its logits give the sample's loss; what follows another token doesn't count. */
function createScoredEngine(engine: InferenceEngine, { tokens, targets, firstScoredRow }: EncodedSample): ScoredEngine {
  const nats = new Float64Array(tokens.length - firstScoredRow);
  let session: InferenceSession | null = null;
  let agreed = 0;

  const append = (inner: InferenceSession, more: Int32Array): Float32Array => {
    if (agreed === inner.length) {
      while (agreed - inner.length < more.length && tokens[agreed] === more[agreed - inner.length]) agreed++;
    }
    const logits = inner.append(more);
    const row = agreed - 1;
    if (agreed === inner.length && row >= firstScoredRow) {
      nats[row - firstScoredRow] = inner.logSumExp - logits[targets[row]];
    }
    return logits;
  };
  const createSession = (): InferenceSession => {
    const inner = engine.createSession();
    session = inner;
    return {
      get length() {
        return inner.length;
      },
      get logSumExp() {
        return inner.logSumExp;
      },
      append: (more) => append(inner, more),
      truncate: (length) => inner.truncate(length),
    };
  };
  return {
    engine: { shape: engine.shape, createSession, close: () => {} },
    finish() {
      if (session === null) throw new Error('finish() before the answer');
      session.truncate(agreed);
      while (agreed < tokens.length) append(session, tokens.subarray(agreed, agreed + 1));
      return nats;
    },
  };
}

function throwIfNoRoom({ file, line }: Row, promptTokens: number, seqLen: number): void {
  if (promptTokens < seqLen) return;
  throw new DataError(
    `${file} line ${line}: the prompt alone has ${promptTokens} tokens, so there is no room for an answer.\n` +
      `  This model sees ${seqLen} tokens at once, prompt and answer together.\n` +
      '  Shorten the prompt, or train a model with a larger model.seq_len.',
  );
}
