// How far a run has come: what the loop keeps between two steps, and what checkpoints record of it.

import type { CheckpointInfo } from '../checkpoint/info.js';
import type { TrainingState } from '../checkpoint/training-state.js';
import type { TrainInputs } from './inputs.js';

export interface Progress {
  /** Finished steps, those of the run that was resumed included. */
  step: number;
  bestEvalLoss: number | null;
  bestStep: number | null;
  evaluationsWithoutImprovement: number;
  lastEvaluation: { readonly step: number; readonly loss: number } | null;
  /** Of the last step whose loss was finite. */
  trainLoss: number | null;
  /** In a row, up to now. */
  nonFiniteSteps: number;
  /** Time in steps and evaluations of this process. */
  elapsedMs: number;
  /** Of the most recent steps, in ms: a run of days must not grow with every step. */
  readonly stepTimes: number[];
  /** Of all steps of this process, in ms. */
  stepMsTotal: number;
  tokensSeen: number;
}

/** Enough for a steady median. */
const RECENT_STEPS = 1000;

/** Takes note of how long a step took, and of its tokens. */
export function recordStep(progress: Progress, stepMs: number, tokens: number): void {
  progress.elapsedMs += stepMs;
  progress.stepMsTotal += stepMs;
  progress.tokensSeen += tokens;
  progress.stepTimes.push(stepMs);
  if (progress.stepTimes.length > RECENT_STEPS) progress.stepTimes.shift();
}

export function createProgress(): Progress {
  return {
    step: 0,
    bestEvalLoss: null,
    bestStep: null,
    evaluationsWithoutImprovement: 0,
    lastEvaluation: null,
    trainLoss: null,
    nonFiniteSteps: 0,
    elapsedMs: 0,
    stepTimes: [],
    stepMsTotal: 0,
    tokensSeen: 0,
  };
}

/** Takes over where an earlier run stopped. An evaluation of these very weights isn't made and recorded again. */
export function resumeProgress(progress: Progress, state: TrainingState, info: CheckpointInfo): void {
  progress.step = state.step;
  progress.trainLoss = info.trainLoss;
  progress.lastEvaluation = info.evalLoss === null ? null : { step: info.step, loss: info.evalLoss };
  progress.nonFiniteSteps = state.nonFiniteSteps;
  progress.bestEvalLoss = state.bestEvalLoss;
  progress.bestStep = state.bestStep;
  progress.evaluationsWithoutImprovement = state.evaluationsWithoutImprovement;
}

/** Data and tokenizer of a run: a resumed run must have the same. */
export function fingerprintsOf({ train, validation, tokenizer }: TrainInputs) {
  return { data: `${train.fingerprint}-${validation.fingerprint}`, tokenizer: tokenizer.fingerprint };
}

/** What a checkpoint of the present weights says of them. */
export function checkpointInfo(
  { step, trainLoss, lastEvaluation }: Progress,
  vocabSize: number,
  config: CheckpointInfo['config'],
): CheckpointInfo {
  const evalLoss = lastEvaluation?.step === step ? lastEvaluation.loss : null;
  return { step, trainLoss, evalLoss, vocabSize, config };
}

export function trainingState(inputs: TrainInputs, progress: Progress): TrainingState {
  const { batchSize, seed } = inputs.config.training;
  const fingerprints = fingerprintsOf(inputs);
  return {
    step: progress.step,
    position: progress.step * batchSize,
    seed,
    bestEvalLoss: progress.bestEvalLoss,
    bestStep: progress.bestStep,
    evaluationsWithoutImprovement: progress.evaluationsWithoutImprovement,
    nonFiniteSteps: progress.nonFiniteSteps,
    dataFingerprint: fingerprints.data,
    tokenizerFingerprint: fingerprints.tokenizer,
  };
}
