// Where a run begins: at random weights, at another checkpoint's weights, or where an earlier run stopped.

import { join } from 'node:path';
import { checkFit, flattenWeights } from '../checkpoint/fit.js';
import type { CheckpointInfo } from '../checkpoint/info.js';
import { damaged } from '../checkpoint/json.js';
import { loadCheckpoint, loadTraining } from '../checkpoint/load.js';
import { STATE_FILE } from '../checkpoint/names.js';
import type { TrainingState } from '../checkpoint/training-state.js';
import type { Config } from '../config/config.js';
import { CheckpointError } from '../errors.js';
import { initializeWeights } from '../model/init.js';
import type { ParameterTable } from '../model/parameters.js';
import { compareSettings } from './changed-settings.js';
import type { LiveState } from './checkpoint-writer.js';

export interface Fingerprints {
  readonly data: string;
  readonly tokenizer: string;
}

export interface StartOptions {
  readonly config: Config;
  /** The configuration as checkpoints record it. */
  readonly configRecord: CheckpointInfo['config'];
  readonly resume: boolean;
  readonly fingerprints: Fingerprints;
}

/** What a resumed run takes over beside weights and moments. */
export interface ResumedRun {
  readonly state: TrainingState;
  readonly info: CheckpointInfo;
  /** Settings that changed since, and with them what comes. */
  readonly changes: readonly string[];
}

/** Fills weights and moments; returns what the run that is resumed left, or null for a fresh one. */
export async function loadStart(
  options: StartOptions,
  table: ParameterTable,
  live: LiveState,
): Promise<ResumedRun | null> {
  const { saveDir, seed, initFrom } = options.config.training;
  if (options.resume) return resumeFrom(join(saveDir, 'last'), options, table, live);
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
  { config, configRecord, fingerprints }: StartOptions,
  table: ParameterTable,
  live: LiveState,
): Promise<ResumedRun> {
  const { checkpoint, state, m, v } = await loadTraining(path);
  const { seed, batchSize } = config.training;
  const settings = compareSettings(checkpoint.info.config, configRecord);
  const differences = [
    state.dataFingerprint !== fingerprints.data && 'the training data',
    state.tokenizerFingerprint !== fingerprints.tokenizer && 'the tokenizer',
    state.seed !== seed && `training.seed (${state.seed} then, ${seed} now)`,
    ...settings.breaking,
  ].filter((difference) => difference !== false);
  if (differences.length > 0) {
    throw new CheckpointError(
      `${path} can't be resumed: ${differences.join(' and ')} changed since it was saved.\n` +
        '  A resumed run must see the same samples in the same order. Put them back as they were, or start anew from\n' +
        `  these weights: --set training.init_from=${path}`,
    );
  }
  checkFit(checkpoint.tensors, table, path);
  if (state.position !== state.step * batchSize) {
    const expected = `${state.step} steps of ${batchSize} samples`;
    throw damaged(join(path, STATE_FILE), `"position" is ${state.position}, which isn't ${expected}`);
  }
  flattenWeights(checkpoint.tensors, table, live.weights, path);
  flattenWeights(m, table, live.m, path);
  flattenWeights(v, table, live.v, path);
  return { state, info: checkpoint.info, changes: settings.notable };
}
