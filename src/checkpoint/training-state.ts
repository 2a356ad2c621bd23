// training/state.json: what a run needs beside weights and moments to go on as if it had never stopped.

import { CheckpointError } from '../errors.js';
import { checkVersion, FORMAT_VERSION } from './info.js';
import { damaged, integerField, type JsonObject, numberOrNullField, parseJsonObject, textField } from './json.js';

export interface TrainingState {
  /** Finished optimiser steps. */
  readonly step: number;
  /** Samples drawn so far from the data order, which seed and data decide. */
  readonly position: number;
  readonly seed: number;
  /** Lowest evaluation loss so far and its step; both null before the first evaluation. */
  readonly bestEvalLoss: number | null;
  readonly bestStep: number | null;
  readonly evaluationsWithoutImprovement: number;
  /** Steps in a row, up to this one, whose loss or gradient was not finite; a few more end the run. */
  readonly nonFiniteSteps: number;
  /** What the run was trained on; a resumed run compares them with what it is given. */
  readonly dataFingerprint: string;
  readonly tokenizerFingerprint: string;
}

/** SHA-256 in hex of the two files that belong to a state. */
export interface StateDigests {
  readonly model: string;
  readonly moments: string;
}

/** The object that becomes state.json. */
export function describeState(state: TrainingState, digests: StateDigests): JsonObject {
  return {
    format_version: FORMAT_VERSION,
    step: state.step,
    position: state.position,
    seed: state.seed,
    best_eval_loss: state.bestEvalLoss,
    best_step: state.bestStep,
    evaluations_without_improvement: state.evaluationsWithoutImprovement,
    non_finite_steps: state.nonFiniteSteps,
    data_fingerprint: state.dataFingerprint,
    tokenizer_fingerprint: state.tokenizerFingerprint,
    model_sha256: digests.model,
    state_sha256: digests.moments,
  };
}

/** Throws CheckpointError for a missing or wrong field. `file` names it in messages. */
export function parseState(text: string, file: string): { state: TrainingState; digests: StateDigests } {
  const json = parseJsonObject(text, file);
  checkVersion(json, file);
  const state: TrainingState = {
    step: integerField(json, 'step', 0, file),
    position: integerField(json, 'position', 0, file),
    seed: integerField(json, 'seed', Number.MIN_SAFE_INTEGER, file),
    bestEvalLoss: numberOrNullField(json, 'best_eval_loss', file),
    bestStep: integerOrNullField(json, 'best_step', file),
    evaluationsWithoutImprovement: integerField(json, 'evaluations_without_improvement', 0, file),
    nonFiniteSteps: integerField(json, 'non_finite_steps', 0, file),
    dataFingerprint: textField(json, 'data_fingerprint', file),
    tokenizerFingerprint: textField(json, 'tokenizer_fingerprint', file),
  };
  if ((state.bestEvalLoss === null) !== (state.bestStep === null)) {
    throw damaged(file, 'of "best_eval_loss" and "best_step" only one is null');
  }
  return {
    state,
    digests: { model: textField(json, 'model_sha256', file), moments: textField(json, 'state_sha256', file) },
  };
}

/** Throws CheckpointError when a file is not the one the state was saved with. */
export function checkDigest(file: string, found: string, expected: string, stateFile: string): void {
  if (found === expected) return;
  throw new CheckpointError(
    `${file} and ${stateFile} don't belong together: SHA-256 ${found.slice(0, 12)}…, expected ${expected.slice(0, 12)}….\n` +
      '  The files were changed or mixed after they were saved. Resume from an untouched checkpoint, ' +
      'or start anew from these weights with training.init_from.',
  );
}

function integerOrNullField(object: JsonObject, key: string, file: string): number | null {
  return numberOrNullField(object, key, file) === null ? null : integerField(object, key, 0, file);
}
