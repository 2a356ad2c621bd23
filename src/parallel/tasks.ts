// What coordinator and workers say to each other, besides the shared memory. Plain data: it is posted between threads.

import type { CorpusBuffers } from '../data/corpus.js';
import type { BatchCapacity } from '../engine/engine.js';
import type { EngineSelection } from '../engine/select.js';
import type { ModelShape } from '../model/shape.js';
import type { AdamWSettings } from '../optim/adamw.js';
import type { ArenaDescription } from './arena.js';
import type { BoardDescription } from './board.js';

/** Handed to a worker once, when it starts. */
export interface WorkerSetup {
  readonly shape: ModelShape;
  readonly selection: EngineSelection;
  readonly arena: ArenaDescription;
  readonly control: SharedArrayBuffer;
  readonly capacity: BatchCapacity;
  readonly train: { readonly corpus: CorpusBuffers; readonly board: BoardDescription };
  readonly evaluation: { readonly corpus: CorpusBuffers; readonly board: BoardDescription };
}

interface Team {
  readonly rank: number;
  readonly ranks: number;
}

/** Forward and backward over the micro-batches on the board, all-reduce, clip, AdamW, refresh. */
export interface StepTask extends Team {
  readonly kind: 'step';
  /** From 1. */
  readonly step: number;
  readonly scoredTokens: number;
  /** Workers take micro-batches two at a time. */
  readonly paired: boolean;
  readonly dropout: number;
  readonly seed: number;
  readonly gradClip: number;
  readonly adamw: AdamWSettings;
}

/** Loss of every chunk on the evaluation's board. */
export interface EvaluateTask extends Team {
  readonly kind: 'evaluate';
}

/** Brings the engines' copies of the weights up to date. */
export interface RefreshTask extends Team {
  readonly kind: 'refresh';
}

export type WorkerTask = StepTask | EvaluateTask | RefreshTask;

/** Milliseconds a worker spent, and what it computed, in one task. */
export interface WorkerReport {
  readonly rank: number;
  readonly forwardMs: number;
  readonly backwardMs: number;
  readonly reduceMs: number;
  readonly updateMs: number;
  readonly waitMs: number;
  readonly microBatches: number;
  readonly tokens: number;
  /** Global norm before clipping, the same from every worker; 0 for other tasks. */
  readonly gradNorm: number;
}
