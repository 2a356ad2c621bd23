// What every engine can do, in numbers and buffers only: no text, no paths, no configuration.
// An engine object belongs to the thread that created it; the weights it reads may be shared by many.

import type { ModelShape } from '../model/shape.js';

/** A packed micro-batch: S sequences one after the other, T tokens in all, no padding; R positions are scored. */
export interface PackedBatch {
  /** (T) input token ids. */
  readonly tokens: Int32Array;
  /** (S + 1) first row of each sequence, then T. */
  readonly seqStarts: Int32Array;
  /** (S) place of each sequence in its batch of samples: with step and seed it decides the dropout mask. */
  readonly sampleKeys: Int32Array;
  /** (R) rows whose next token is scored, ascending. */
  readonly scoredRows: Int32Array;
  /** (R) the token expected there. */
  readonly targets: Int32Array;
  /** (R) factor of the row's cross-entropy in the loss: 1 / scored tokens of the step, times how many copies it stands for. */
  readonly weights: Float32Array;
}

/** What linear layers multiply. Weights, sums, gradients and everything else are f32 in both. */
export type Precision = 'fp32' | 'bf16';

export interface DropoutKey {
  readonly rate: number;
  readonly seed: number;
  readonly step: number;
}

/** Sizes of the largest micro-batch to come; scratch memory is allocated once for it. */
export interface BatchCapacity {
  readonly rows: number;
  readonly scored: number;
  readonly sequences: number;
  /** Whether pairs of micro-batches may come. */
  readonly pairs?: boolean;
}

export interface TrainingEngine {
  /** Derives what the engine keeps beside the weights (packed copies), share `rank` of `ranks`. A barrier must follow. */
  refresh(rank: number, ranks: number): void;
  /**
   * Loss = sum over R of weights * cross-entropy, in nats. Keeps what `backward` needs;
   * the arrays of `batch` must not change until then.
   */
  forward(batch: PackedBatch, dropout: DropoutKey): number;
  /** Overwrites `grads` (flat, model order, gaps untouched) with the gradient of the last forward's loss. Once per forward. */
  backward(grads: Float32Array): void;
  /** The loss without gradients and without dropout. */
  loss(batch: PackedBatch): number;
  /**
   * The optimizer step on share `rank` of `ranks` of the weights and, in the same pass, what `refresh` does for it.
   * grads, m, v: flat like the weights; step: see adamw. Absent where the two are done one after the other.
   */
  update?(rank: number, ranks: number, grads: Float32Array, m: Float32Array, v: Float32Array, step: Float32Array): void;
  /** Absent in an engine that takes one micro-batch at a time. */
  readonly pairs?: MicroBatchPairs;
}

/** Two micro-batches packed one after the other, for less work than one by one and the same numbers to the bit. */
export interface MicroBatchPairs {
  /**
   * Like `forward`, of a batch whose first `sequences` sequences are one micro-batch and the others another.
   * losses (2) overwritten. `backward` then gives the first one's gradient plus the second one's.
   */
  forward(batch: PackedBatch, sequences: number, dropout: DropoutKey, losses: Float64Array): void;
}

/** Tokens of each micro-batch of a pair, at most; capacity.rows bounds both together. */
export const PAIR_ROWS = 256;

export interface InferenceEngine {
  readonly shape: ModelShape;
  /** Starts an empty sequence. */
  createSession(): InferenceSession;
  /** Frees what the engine holds outside JavaScript; the sessions end with it. */
  close(): void;
}

export interface InferenceSession {
  /** Tokens so far. */
  readonly length: number;
  /**
   * Appends 1 or more tokens and returns the logits (V) that follow the last one.
   * The array is overwritten by the next call. Throws RangeError beyond shape.seqLen.
   */
  append(tokens: Int32Array): Float32Array;
  /**
   * log(sum(exp(logits))) of the last `append`, NaN before it: exp(logit - this) is a token's probability. Not finite if a logit
   * is NaN or +Infinity.
   */
  readonly logSumExp: number;
  /** Forgets all tokens after the first `length`. */
  truncate(length: number): void;
}
