// Where a run begins: at random weights, at another checkpoint's weights, or where an earlier run stopped.

import { join } from 'node:path';
import { checkFit, flattenWeights } from '../checkpoint/fit.js';
import { loadCheckpoint, loadTraining } from '../checkpoint/load.js';
import type { TrainingState } from '../checkpoint/training-state.js';
import type { Config } from '../config/config.js';
import { CheckpointError } from '../errors.js';
import { initializeWeights } from '../model/init.js';
import type { ParameterTable } from '../model/parameters.js';
import type { LiveState } from './checkpoint-writer.js';

export interface Fingerprints {
  readonly data: string;
  readonly tokenizer: string;
}

/** Fills weights and moments; returns the state of the run that is resumed, or null for a fresh one. */
export async function loadStart(
  config: Config,
  resume: boolean,
  fingerprints: Fingerprints,
  table: ParameterTable,
  live: LiveState,
): Promise<TrainingState | null> {
  const { saveDir, seed, initFrom } = config.training;
  if (resume) return resumeFrom(join(saveDir, 'last'), seed, fingerprints, table, live);
  if (initFrom === null) {
    initializeWeights(table, seed, live.weights);
    return null;
  }
  const { tensors } = await loadCheckpoint(initFrom);
  flattenWeights(tensors, table, live.weights, `training.init_from: ${initFrom}`);
  return null;
}

async function resumeFrom(
  path: string,
  seed: number,
  fingerprints: Fingerprints,
  table: ParameterTable,
  live: LiveState,
): Promise<TrainingState> {
  const { checkpoint, state, m, v } = await loadTraining(path);
  checkFit(checkpoint.tensors, table, path);
  const differences = [
    state.dataFingerprint !== fingerprints.data && 'the training data',
    state.tokenizerFingerprint !== fingerprints.tokenizer && 'the tokenizer',
    state.seed !== seed && `training.seed (${state.seed} then, ${seed} now)`,
  ].filter((difference) => difference !== false);
  if (differences.length > 0) {
    throw new CheckpointError(
      `${path} can't be resumed: ${differences.join(' and ')} changed since it was saved.\n` +
        '  A resumed run must see the same samples in the same order. Put them back as they were, or start anew from\n' +
        `  these weights: --set training.init_from=${path}`,
    );
  }
  flattenWeights(checkpoint.tensors, table, live.weights, path);
  flattenWeights(m, table, live.m, path);
  flattenWeights(v, table, live.v, path);
  return state;
}
