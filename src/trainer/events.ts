// What a training run tells the world, in the order in which it happens. Types only: ui and metrics import nothing else.

import type { ModelShape } from '../model/shape.js';

export interface StartEvent {
  readonly type: 'start';
  readonly shape: ModelShape;
  readonly parameterCount: number;
  readonly engine: { readonly name: string; readonly detail: string; readonly precision: 'fp32' | 'bf16' };
  readonly workers: number;
  readonly saveDir: string;
  readonly batchSize: number;
  readonly microBatches: number;
  readonly maxSteps: number;
  readonly warmupSteps: number;
  /** Learning rate at the end of the warm-up and at the last step; null in records of older versions. */
  readonly peakLr: number | null;
  readonly minLr: number | null;
  readonly evalInterval: number;
  readonly stepsPerEpoch: number;
  /** Last finished step of the run that is resumed; 0 for a fresh run. */
  readonly startStep: number;
  readonly trainSamples: number;
  readonly trainDistinct: number;
  readonly truncated: number;
  readonly valSamples: number;
  /** Questions whose answers follow the evaluations; null in records of older versions. */
  readonly samplePrompts: number | null;
  readonly bestEvalLoss: number | null;
  /** Measured on this machine, of the cores that the workers have at the start; null where it isn't measured. */
  readonly peakGflops: number | null;
}

export interface WorkerFigures {
  readonly rank: number;
  readonly tokens: number;
  readonly microBatches: number;
  /** Share of the step it computed, and share it waited for others; 0 to 1. */
  readonly busy: number;
  readonly wait: number;
}

/** Milliseconds of one step, averaged over the workers. */
export interface StepPhases {
  readonly forward: number;
  readonly backward: number;
  readonly reduce: number;
  readonly update: number;
  readonly wait: number;
}

export interface StepEvent {
  readonly type: 'step';
  /** From 1. */
  readonly step: number;
  readonly epoch: number;
  /** Mean cross-entropy over the scored tokens of the batch, in nats. */
  readonly loss: number;
  readonly lr: number;
  /** Global L2 norm before clipping. */
  readonly gradNorm: number;
  /** Tokens of the batch (every sample counted), and those really computed (copies merged). */
  readonly tokens: number;
  readonly computedTokens: number;
  readonly flops: number;
  readonly stepMs: number;
  /** Training time of this process so far, pauses excluded. */
  readonly elapsedMs: number;
  readonly phases: StepPhases;
  readonly workers: readonly WorkerFigures[];
}

export interface EvaluationEvent {
  readonly type: 'evaluation';
  readonly step: number;
  /** Mean cross-entropy over all scored validation tokens, in nats. */
  readonly evalLoss: number;
  readonly bestEvalLoss: number;
  readonly isBest: boolean;
  readonly evalMs: number;
}

/** Greedy answers to a few validation prompts, the newest there is to each. */
export interface SamplesEvent {
  readonly type: 'samples';
  readonly step: number;
  readonly items: readonly SampleAnswer[];
}

export interface SampleAnswer {
  readonly prompt: string;
  readonly answer: string;
  readonly expected: string;
  /** When the model said so. */
  readonly step: number;
}

export interface CheckpointEvent {
  readonly type: 'checkpoint';
  readonly kind: 'last' | 'best' | 'quantized';
  readonly step: number;
  readonly path: string;
  readonly writeMs: number;
}

export interface NoticeEvent {
  readonly type: 'notice';
  readonly level: 'info' | 'warning';
  readonly step: number;
  readonly message: string;
}

export interface EndEvent {
  readonly type: 'end';
  readonly reason: 'done' | 'stopped' | 'early-stopping' | 'diverged';
  readonly step: number;
  readonly trainLoss: number | null;
  readonly bestEvalLoss: number | null;
  readonly lastEvalLoss: number | null;
  readonly elapsedMs: number;
  readonly medianStepMs: number | null;
  readonly tokensPerSec: number | null;
}

export type TrainEvent =
  | StartEvent
  | StepEvent
  | EvaluationEvent
  | SamplesEvent
  | CheckpointEvent
  | NoticeEvent
  | EndEvent;

/** What one may ask of a run while it goes on. Each takes effect after the step that is under way, or after one more. */
export interface TrainControl {
  /** Stops and saves. */
  stop(): void;
  pause(): void;
  resume(): void;
  readonly isPaused: boolean;
  saveNow(): void;
  evaluateNow(): void;
  /** Replaces the pool by one of n workers; the results keep their bits. */
  setWorkers(n: number): void;
  /** What each worker does at this moment. */
  liveWorkers(): readonly WorkerActivity[];
}

export type WorkerActivity = 'idle' | 'forward' | 'backward' | 'reduce' | 'update' | 'wait' | 'evaluate';
