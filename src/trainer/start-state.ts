// Where a run begins: at random weights, at another checkpoint's weights, or where an earlier run stopped.

import { join } from 'node:path';
import { checkFit, flattenWeights } from '../checkpoint/fit.js';
import type { CheckpointInfo } from '../checkpoint/info.js';
import { damaged } from '../checkpoint/json.js';
import { type LoadedCheckpoint, loadCheckpoint, loadTraining } from '../checkpoint/load.js';
import { STATE_FILE, TOKENIZER_FILE } from '../checkpoint/names.js';
import type { TrainingState } from '../checkpoint/training-state.js';
import type { Config } from '../config/config.js';
import { CheckpointError } from '../errors.js';
import { initializeWeights } from '../model/init.js';
import type { ParameterTable } from '../model/parameters.js';
import { parseTokenizer } from '../tokenizer/tokenizer.js';
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
  const checkpoint = await loadCheckpoint(initFrom);
  const name = `training.init_from: ${initFrom}`;
  checkMeaning(checkpoint, options, name);
  flattenWeights(checkpoint.tensors, table, live.weights, name);
  return null;
}

/** Weights of the right shape may still mean something else: rows of the embedding, and channels of a head. */
function checkMeaning(
  { path, shape, tokenizerJson }: LoadedCheckpoint,
  { config, fingerprints }: StartOptions,
  name: string,
): void {
  const { nHead } = config.model;
  if (shape.nHead !== nHead) {
    throw new CheckpointError(
      `${name} has ${shape.nHead} attention heads, and model.n_head is ${nHead}: its weights would mean something else.\n` +
        `  Use --set model.n_head=${shape.nHead}, or start without it.`,
    );
  }
  const tokenizerFile = join(path, TOKENIZER_FILE);
  if (parseTokenizer(tokenizerJson, tokenizerFile).fingerprint !== fingerprints.tokenizer) {
    throw new CheckpointError(
      `${name} was trained with another tokenizer than ${config.tokenizer.path}: its tokens would mean something else.\n` +
        `  Use its own: --set tokenizer.path=${tokenizerFile}, or start without it.`,
    );
  }
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
  const meaning = [
    ...(state.tokenizerFingerprint === fingerprints.tokenizer ? [] : ['the tokenizer']),
    ...settings.shape,
  ];
  const order = [
    ...(state.dataFingerprint === fingerprints.data ? [] : ['the training data']),
    ...(state.seed === seed ? [] : [`training.seed (${state.seed} then, ${seed} now)`]),
    ...settings.order,
  ];
  if (meaning.length > 0 || order.length > 0) {
    throw new CheckpointError(
      `${path} can't be resumed: ${[...meaning, ...order].join(' and ')} changed since it was saved.\n` +
        '  A resumed run must see the same samples in the same order. Put them back as they were, or start anew' +
        (meaning.length > 0 ? ', without --resume.' : ` from\n  these weights: --set training.init_from=${path}`),
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
