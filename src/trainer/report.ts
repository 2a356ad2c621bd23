// The events that tell of a run's start, steps and end, out of what the loop knows.

import type { CorpusViews } from '../data/corpus.js';
import { describeEngine } from '../engine/select.js';
import { physicalCores } from '../machine/cores.js';
import type { ModelShape } from '../model/shape.js';
import type { StepResult } from '../parallel/coordinator.js';
import { type StepPlan, sampleFlops } from '../parallel/plan.js';
import type { WorkerReport } from '../parallel/tasks.js';
import type { EndEvent, StartEvent, StepEvent, StepPhases } from './events.js';
import type { TrainInputs } from './inputs.js';
import type { Progress } from './progress.js';

export function startEvent(
  { config, selection, train, validation, workers, samplePrompts, corePeakGflops }: TrainInputs,
  shape: ModelShape,
  parameterCount: number,
  progress: Progress,
): StartEvent {
  const { batchSize, microBatch, maxSteps, warmupSteps, lr, minLr, evalInterval, saveDir } = config.training;
  return {
    type: 'start',
    shape,
    parameterCount,
    engine: { ...describeEngine(selection), precision: selection.precision },
    workers,
    saveDir,
    batchSize,
    microBatches: batchSize / microBatch,
    maxSteps,
    warmupSteps,
    peakLr: lr,
    minLr,
    evalInterval,
    stepsPerEpoch: train.count / batchSize,
    startStep: progress.step,
    trainSamples: train.count,
    trainDistinct: train.distinctCount,
    truncated: train.truncated,
    valSamples: validation.count,
    samplePrompts,
    bestEvalLoss: progress.bestEvalLoss,
    peakGflops: corePeakGflops === null ? null : corePeakGflops * Math.min(workers, physicalCores()),
  };
}

export interface FinishedStep extends StepResult {
  readonly epoch: number;
  readonly lr: number;
}

export function stepEvent(
  train: CorpusViews,
  shape: ModelShape,
  progress: Progress,
  finished: FinishedStep,
): StepEvent {
  const { plan, loss, gradNorm, reports, epoch, lr, ms: stepMs } = finished;
  return {
    type: 'step',
    step: progress.step,
    epoch,
    loss,
    lr,
    gradNorm,
    tokens: plan.tokens,
    computedTokens: plan.computedTokens,
    flops: planFlops(plan, train, shape),
    stepMs,
    elapsedMs: progress.elapsedMs,
    phases: meanPhases(reports),
    workers: reports.map((r, rank) => ({
      rank,
      tokens: r.tokens,
      microBatches: r.microBatches,
      busy: (r.forwardMs + r.backwardMs + r.reduceMs + r.updateMs) / stepMs,
      wait: r.waitMs / stepMs,
    })),
  };
}

/** Useful FLOPs of what a step computes: copies of a sample that were merged count once. */
export function planFlops(plan: StepPlan, train: CorpusViews, shape: ModelShape): number {
  return plan.samples.reduce((sum, sample) => sum + sampleFlops(train, sample, shape), 0);
}

/** Milliseconds, averaged over the workers. */
export function meanPhases(reports: readonly WorkerReport[]): StepPhases {
  const mean = (of: (report: WorkerReport) => number) => reports.reduce((n, r) => n + of(r), 0) / reports.length;
  return {
    forward: mean((r) => r.forwardMs),
    backward: mean((r) => r.backwardMs),
    reduce: mean((r) => r.reduceMs),
    update: mean((r) => r.updateMs),
    wait: mean((r) => r.waitMs),
  };
}

export function endEvent(progress: Progress, reason: EndEvent['reason']): EndEvent {
  const times = [...progress.stepTimes].sort((a, b) => a - b);
  return {
    type: 'end',
    reason,
    step: progress.step,
    trainLoss: progress.trainLoss,
    bestEvalLoss: progress.bestEvalLoss,
    lastEvalLoss: progress.lastEvaluation?.loss ?? null,
    elapsedMs: progress.elapsedMs,
    medianStepMs: times.length > 0 ? times[times.length >> 1] : null,
    tokensPerSec: times.length > 0 ? (progress.tokensSeen / progress.stepMsTotal) * 1000 : null,
  };
}
