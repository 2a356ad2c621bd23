// What coordinator and workers say to each other, besides the shared memory. Plain data: it is posted between threads.

import type { CorpusBuffers } from '../data/corpus.js';
import type { BatchCapacity } from '../engine/engine.js';
import type { EngineSelection } from '../engine/select.js';
import type { ModelShape } from '../model/shape.js';
import type { AdamWSettings } from '../optim/adamw.js';
import type { ArenaDescription } from './arena.js';
import type { BoardDescription } from './board.js';
import type { QueueDescription } from './queue.js';

/** Handed to a worker once, when it starts. */
export interface WorkerSetup {
  readonly shape: ModelShape;
  readonly selection: EngineSelection;
  readonly arena: ArenaDescription;
  readonly control: SharedArrayBuffer;
  readonly capacity: BatchCapacity;
  readonly train: { readonly corpus: CorpusBuffers; readonly queue: QueueDescription };
  readonly evaluation: { readonly corpus: CorpusBuffers; readonly board: BoardDescription };
}

interface Team {
  readonly rank: number;
  readonly ranks: number;
}

/**
 * A series of optimizer steps, one after the other as they come into the queue, until the coordinator ends it. In each: forward
 * and backward over the micro-batches, all-reduce, clip, AdamW, refresh.
 */
export interface StepsTask extends Team {
  readonly kind: 'steps';
  /** Number of the first one, from 1. */
  readonly first: number;
  readonly dropout: number;
  readonly seed: number;
  readonly gradClip: number;
  readonly adamw: Omit<AdamWSettings, 'lr'>;
}

/** Loss of every chunk on the evaluation's board. */
export interface EvaluateTask extends Team {
  readonly kind: 'evaluate';
}

/** Brings the engines' copies of the weights up to date. */
export interface RefreshTask extends Team {
  readonly kind: 'refresh';
}

export type WorkerTask = StepsTask | EvaluateTask | RefreshTask;

/** Milliseconds a worker spent, and what it computed, in one step. */
export interface WorkerReport {
  readonly forwardMs: number;
  readonly backwardMs: number;
  readonly reduceMs: number;
  readonly updateMs: number;
  /** For its peers, at the end of the step before as well. */
  readonly waitMs: number;
  readonly microBatches: number;
  readonly tokens: number;
  /** Global norm before clipping, the same from every worker. */
  readonly gradNorm: number;
  /** When it had done its part, by a clock that all threads share. */
  readonly endedMs: number;
}
