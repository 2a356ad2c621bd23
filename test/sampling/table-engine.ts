// Inference engines without a network: what comes next is looked up. They keep the whole contract of InferenceEngine: logits in
// one buffer that every call overwrites, RangeError beyond the sequence, truncation.

import type { InferenceEngine, InferenceSession } from '../../src/engine/engine.js';
import { logSumExp } from '../../src/engine/log-sum-exp.js';
import type { ModelShape } from '../../src/model/shape.js';

export interface TableEngine extends InferenceEngine {
  /** The tokens of every append so far, in order, of all sessions. */
  readonly appends: number[][];
}

export interface TableEngineOptions {
  readonly vocabSize: number;
  readonly seqLen?: number;
  /** The logits (V) that follow these tokens. */
  readonly next: (tokens: readonly number[]) => Float32Array;
}

export function createTableEngine({ vocabSize, seqLen = 128, next }: TableEngineOptions): TableEngine {
  const shape: ModelShape = { nLayer: 1, nHead: 1, nEmbd: 2, vocabSize, seqLen };
  const appends: number[][] = [];
  const createSession = (): InferenceSession => {
    let tokens: number[] = [];
    const logits = new Float32Array(vocabSize);
    return {
      get length() {
        return tokens.length;
      },
      append(more) {
        if (more.length < 1 || tokens.length + more.length > seqLen) throw new RangeError('append: no room');
        appends.push([...more]);
        tokens.push(...more);
        logits.set(next(tokens));
        return logits;
      },
      get logSumExp() {
        return logSumExp(logits);
      },
      truncate(length) {
        tokens = tokens.slice(0, length);
      },
    };
  };
  return { shape, createSession, close: () => {}, appends };
}

/** Says `answer` (ids) after the prefix, whatever the prefix is: the token in turn has this logit, all others 0. */
export function createScriptEngine(
  vocabSize: number,
  prefixLength: number,
  answer: readonly number[],
  { seqLen = 128, logit = 10 } = {},
): TableEngine {
  return createTableEngine({
    vocabSize,
    seqLen,
    next: (tokens) => {
      const logits = new Float32Array(vocabSize);
      const id = answer[tokens.length - prefixLength];
      if (id !== undefined) logits[id] = logit;
      return logits;
    },
  });
}
