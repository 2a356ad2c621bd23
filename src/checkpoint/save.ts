// Saves a checkpoint: a folder with model.safetensors (weights alone), config.json and tokenizer.json; a resumable one also has
// training/state.safetensors (both moments) and training/state.json. All of it appears at once or not at all.

import { dirname, join } from 'node:path';
import { FileError, LoomError, NonFiniteError } from '../errors.js';
import { makeFolder } from '../folder.js';
import { createParameterTable } from '../model/parameters.js';
import type { NamedWeights } from '../model/weights.js';
import { createFileOps, type FileOps } from './file-ops.js';
import { checkFit } from './fit.js';
import { type CheckpointInfo, describeCheckpoint, parseInfo } from './info.js';
import { type JsonObject, toJson } from './json.js';
import { checkReplaceable } from './locate.js';
import { CONFIG_FILE, MODEL_FILE, MOMENTS_FILE, STATE_FILE, TOKENIZER_FILE, TRAINING_FOLDER } from './names.js';
import { replaceFolder } from './replace-folder.js';
import { layoutSafetensors } from './safetensors-layout.js';
import { describeState, type TrainingState } from './training-state.js';
import { type WrittenFile, writeNewFile } from './write-file.js';

/** Belongs to the save until it has finished: nobody may change these arrays meanwhile. */
export interface CheckpointContent {
  readonly info: CheckpointInfo;
  readonly tensors: NamedWeights;
  /** Text of the tokenizer.json in use. */
  readonly tokenizerJson: string;
  /** Only what can be resumed has it. */
  readonly training?: {
    readonly state: TrainingState;
    /** AdamW's first and second moments, named and shaped like the weights. */
    readonly m: NamedWeights;
    readonly v: NamedWeights;
  };
}

export interface SavedCheckpoint {
  readonly bytes: number;
  /** From the call until it is safe on the device, waiting for earlier saves included. */
  readonly writeMs: number;
}

let previous: Promise<unknown> = Promise.resolve();

/**
 * Writes the folder `path`, e.g. checkpoints/last, replacing what was saved there. Saves of one process follow one another, in
 * the order of the calls. Throws NonFiniteError for a NaN or infinity, CheckpointError for content that could not be loaded
 * again or a `path` that holds something else, FileError when the disk refuses. After any error `path` is as it was, or
 * complete with the new content. `beforeSwap` is called when the new folder is written, and an error of it leaves `path` as it was.
 */
export async function saveCheckpoint(
  path: string,
  content: CheckpointContent,
  ops: FileOps = createFileOps(),
  beforeSwap: () => Promise<void> = async () => {},
): Promise<SavedCheckpoint> {
  const startedAt = performance.now();
  const save = previous.then(() => saveNow(path, content, ops, beforeSwap));
  previous = save.catch(() => undefined);
  return { bytes: await save, writeMs: performance.now() - startedAt };
}

/** Bytes written. */
async function saveNow(
  path: string,
  content: CheckpointContent,
  ops: FileOps,
  beforeSwap: () => Promise<void>,
): Promise<number> {
  const configJson = configJsonOf(content);
  try {
    makeFolder(dirname(path));
    await checkReplaceable(path);
    const fill = async (folder: string) => {
      const bytes = await writeFolder(folder, content, configJson, ops);
      await beforeSwap();
      return bytes;
    };
    return await replaceFolder(path, fill, ops);
  } catch (error) {
    throw saveError(path, error);
  }
}

async function writeFolder(
  folder: string,
  content: CheckpointContent,
  configJson: string,
  ops: FileOps,
): Promise<number> {
  const model = await writeTensors(join(folder, MODEL_FILE), content.tensors, ops);
  let bytes = model.bytes;
  bytes += await writeText(join(folder, CONFIG_FILE), configJson, ops);
  bytes += await writeText(join(folder, TOKENIZER_FILE), content.tokenizerJson, ops);
  if (content.training === undefined) return bytes;

  const { m, v, state } = content.training;
  await ops.mkdir(join(folder, TRAINING_FOLDER));
  const moments = await writeTensors(
    join(folder, MOMENTS_FILE),
    new Map([...prefixed('m.', m), ...prefixed('v.', v)]),
    ops,
  );
  const digests = { model: model.sha256, moments: moments.sha256 };
  const stateBytes = await writeText(
    join(folder, STATE_FILE),
    finiteJson(describeState(state, digests), STATE_FILE),
    ops,
  );
  await ops.syncFolder(join(folder, TRAINING_FOLDER));
  return bytes + moments.bytes + stateBytes;
}

/** What would be refused at loading is refused here, before anything is written. */
function configJsonOf({ info, tensors }: CheckpointContent): string {
  const isQuantized = [...tensors.values()].some(({ kind }) => kind === 'int8');
  const json = finiteJson(describeCheckpoint(info, isQuantized), CONFIG_FILE);
  const { shape } = parseInfo(json, CONFIG_FILE);
  checkFit(tensors, createParameterTable(shape), 'What is to be saved');
  return json;
}

async function writeTensors(path: string, tensors: NamedWeights, ops: FileOps): Promise<WrittenFile> {
  const layout = layoutSafetensors(tensors);
  const written = await writeNewFile(ops, path, layout.chunks());
  if (written.bytes !== layout.bytes)
    throw new Error(`${path}: ${written.bytes} bytes written, ${layout.bytes} laid out`);
  return written;
}

async function writeText(path: string, text: string, ops: FileOps): Promise<number> {
  return (await writeNewFile(ops, path, [new TextEncoder().encode(text)])).bytes;
}

function prefixed(prefix: string, tensors: NamedWeights): NamedWeights {
  return new Map([...tensors].map(([name, tensor]) => [prefix + name, tensor]));
}

function finiteJson(value: JsonObject, file: string): string {
  return toJson(value, (key, number) => {
    const advice = '  Go on from the last checkpoint with a smaller training.lr.';
    return new NonFiniteError(`"${key}" of ${file} is ${number}; a checkpoint holds finite numbers only.\n${advice}`);
  });
}

function saveError(path: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof LoomError || code === undefined) return error;
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  const what = isFull ? `The disk is full: ${path} can't be saved` : `${path} can't be saved`;
  const advice = isFull ? 'Free some space' : 'Check the permissions and the device';
  return new FileError(
    `${what} (${message}).\n  Nothing there is half-written: it is as it was before, or complete. ${advice}, then go on with --resume.`,
    { cause: error },
  );
}
