// Loads a checkpoint folder. Nothing in it is trusted: sizes are checked before memory is taken, numbers before they are used.

import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError, FileError } from '../errors.js';
import { createParameterTable, type ParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import type { NamedWeights } from '../model/weights.js';
import { checkFit } from './fit.js';
import { type CheckpointInfo, parseInfo } from './info.js';
import { damaged } from './json.js';
import { isCheckpoint, locateCheckpoint } from './locate.js';
import { CONFIG_FILE, MODEL_FILE, MOMENTS_FILE, STATE_FILE, TOKENIZER_FILE } from './names.js';
import { readSafetensors, readText, type SafetensorsFile } from './read-file.js';
import { decodeTensors, isScale, type StoredTensor } from './safetensors.js';
import { checkDigest, parseState, type TrainingState } from './training-state.js';

export interface LoadedCheckpoint {
  readonly path: string;
  readonly info: CheckpointInfo;
  readonly shape: ModelShape;
  readonly isQuantized: boolean;
  /** Exactly the parameters of `shape`, all finite; f32, matrices int8 if isQuantized. */
  readonly tensors: NamedWeights;
  readonly tokenizerJson: string;
}

export interface LoadedTraining {
  readonly checkpoint: LoadedCheckpoint;
  readonly state: TrainingState;
  /** Named and shaped like the weights; v is nowhere negative. */
  readonly m: NamedWeights;
  readonly v: NamedWeights;
}

const MAX_CONFIG_BYTES = 1 << 20;
const MAX_TOKENIZER_BYTES = 1 << 26;

/** A trainer may replace the folder while it is read; a save takes far longer than a read, so few tries are enough. */
const MAX_TRIES = 5;
const ABSENT = 'absent';

/** Loads weights, settings and tokenizer. Throws CheckpointError (absent, damaged, not a checkpoint) or FileError (unreadable). */
export function loadCheckpoint(path: string): Promise<LoadedCheckpoint> {
  return readUnchanged(path, async (folder) => (await readCheckpoint(folder)).checkpoint);
}

/** Loads all that a run needs to go on, proven by SHA-256 to belong together. Throws as loadCheckpoint does. */
export function loadTraining(path: string): Promise<LoadedTraining> {
  return readUnchanged(path, readTraining);
}

async function readCheckpoint(path: string): Promise<{ checkpoint: LoadedCheckpoint; file: SafetensorsFile }> {
  const configFile = join(path, CONFIG_FILE);
  const modelFile = join(path, MODEL_FILE);
  const { info, shape, isQuantized } = parseInfo(await readText(configFile, MAX_CONFIG_BYTES), configFile);
  const table = createParameterTable(shape);
  const file = await readSafetensors(modelFile, (stored) => checkFit(kindsOf(stored), table, modelFile));
  const tensors = decodeTensors(file.stored, file.data, modelFile);
  const expected = isQuantized ? 'int8' : 'f32';
  const other = table.parameters.find(({ name, isMatrix }) => isMatrix && tensors.get(name)!.kind !== expected);
  if (other !== undefined) {
    const { kind } = tensors.get(other.name)!;
    throw damaged(
      modelFile,
      `tensor ${other.name} is ${kind}, but ${configFile} says that all matrices are ${expected}`,
    );
  }
  const tokenizerJson = await readText(join(path, TOKENIZER_FILE), MAX_TOKENIZER_BYTES);
  return { checkpoint: { path, info, shape, isQuantized, tensors, tokenizerJson }, file };
}

async function readTraining(path: string): Promise<LoadedTraining> {
  const stateFile = join(path, STATE_FILE);
  const momentsFile = join(path, MOMENTS_FILE);
  const { state, digests } = parseState(await readStateText(path, stateFile), stateFile);
  const { checkpoint, file } = await readCheckpoint(path);
  checkDigest(join(path, MODEL_FILE), sha256(file), digests.model, stateFile);
  const table = momentsTable(createParameterTable(checkpoint.shape));
  const moments = await readSafetensors(momentsFile, (stored) => checkFit(kindsOf(stored), table, momentsFile));
  checkDigest(momentsFile, sha256(moments), digests.moments, stateFile);
  if (state.step !== checkpoint.info.step) {
    throw damaged(stateFile, `"step" is ${state.step}, but ${join(path, CONFIG_FILE)} says ${checkpoint.info.step}`);
  }
  const tensors = decodeTensors(moments.stored, moments.data, momentsFile);
  return {
    checkpoint,
    state,
    m: withoutPrefix('m.', tensors),
    v: checkNotNegative(withoutPrefix('v.', tensors), momentsFile),
  };
}

/** Reads the folder, again if it was replaced meanwhile, so that all files come from one save. */
async function readUnchanged<T>(path: string, read: (folder: string) => Promise<T>): Promise<T> {
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    const before = await identityOf(path);
    try {
      const result = await read(await locateCheckpoint(path));
      if (before === (await identityOf(path))) return result;
    } catch (error) {
      // An absent one may be in the middle of a swap.
      const isUnchanged = before !== ABSENT && before === (await identityOf(path));
      if (isUnchanged || tries === MAX_TRIES) throw error;
    }
  }
  throw new FileError(
    `${path} was replaced ${MAX_TRIES} times while it was read.\n  Try again when less is saved there.`,
  );
}

async function identityOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found === undefined ? ABSENT : `${found.dev} ${found.ino} ${found.mtimeNs}`;
}

async function readStateText(path: string, stateFile: string): Promise<string> {
  const hasState = await stat(stateFile).then(
    () => true,
    () => false,
  );
  if (hasState || !(await isCheckpoint(path))) return readText(stateFile, MAX_CONFIG_BYTES);
  throw new CheckpointError(
    `${path} has weights but no training state (${STATE_FILE}), so training can't go on exactly where it stopped.\n` +
      `  Resume from the last checkpoint, or start anew from these weights: training.init_from: ${path}.`,
  );
}

function kindsOf(stored: readonly StoredTensor[]): Map<string, { kind: 'f32' | 'int8'; shape: readonly number[] }> {
  const byName = new Map(stored.map((entry) => [entry.name, entry]));
  const tensors = stored.filter((entry) => !isScale(entry, byName));
  return new Map(tensors.map(({ name, dtype, shape }) => [name, { kind: dtype === 'I8' ? 'int8' : 'f32', shape }]));
}

function momentsTable(table: ParameterTable): ParameterTable {
  const named = (prefix: string) =>
    table.parameters.map((parameter) => ({ ...parameter, name: prefix + parameter.name, isMatrix: false }));
  return { ...table, parameters: [...named('m.'), ...named('v.')] };
}

function sha256({ head, data }: SafetensorsFile): string {
  return createHash('sha256').update(head).update(data).digest('hex');
}

function withoutPrefix(prefix: string, tensors: NamedWeights): NamedWeights {
  const wanted = [...tensors].filter(([name]) => name.startsWith(prefix));
  return new Map(wanted.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** AdamW takes the root of v. */
function checkNotNegative(v: NamedWeights, file: string): NamedWeights {
  for (const [name, { data }] of v) {
    for (let i = 0; i < data.length; i++) {
      if (data[i] < 0) throw damaged(file, `second moment v.${name} is ${data[i]} at element ${i}, expected 0 or more`);
    }
  }
  return v;
}
