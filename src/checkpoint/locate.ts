// Finds the checkpoint a user means; when it isn't there, says which ones are. Also guards what a save would replace.

import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, normalize } from 'node:path';
import { CheckpointError, FileError } from '../errors.js';
import { describe } from './json.js';
import { CHECKPOINT_KINDS, CONFIG_FILE, MODEL_FILE } from './names.js';
import { finishSwap, isMissing } from './replace-folder.js';

type PathKind = 'folder' | 'file' | 'missing';

/** More would hide the message. */
const MAX_LISTED = 8;

/** The path without trailing slashes. Throws CheckpointError, naming the right folder where it can, or FileError. */
export async function locateCheckpoint(path: string): Promise<string> {
  const folder = withoutTrailingSlash(path);
  try {
    await finishSwap(folder);
    const kind = await kindOf(folder);
    if (kind === 'folder' && (await isCheckpoint(folder))) return folder;
    throw await explain(folder, kind);
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    const { message } = error as Error;
    throw new FileError(`${folder} can't be read: ${message}.\n  Check the permissions and the device.`, {
      cause: error,
    });
  }
}

/** Whether a folder has weights in it. */
export async function isCheckpoint(folder: string): Promise<boolean> {
  return (await kindOf(join(folder, MODEL_FILE))) === 'file';
}

/** Checkpoints directly within a folder: last, best and quantized first, then by name. Empty if there is no such folder. */
export async function listCheckpoints(folder: string): Promise<string[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith('.'));
  const rank = (name: string) => (CHECKPOINT_KINDS as readonly string[]).indexOf(name) >>> 0; // -1 becomes the largest.
  names.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const found: string[] = [];
  for (const name of names) if (await isCheckpoint(join(folder, name))) found.push(join(folder, name));
  return found;
}

/** Throws CheckpointError if something lies at `path` that no save put there: replacing it would destroy it. */
export async function checkReplaceable(path: string): Promise<void> {
  const kind = await kindOf(path);
  if (kind === 'missing') return;
  const names = kind === 'folder' ? await readdir(path) : [];
  if (kind === 'folder' && (names.length === 0 || names.includes(MODEL_FILE) || names.includes(CONFIG_FILE))) return;
  const found = kind === 'file' ? 'a file' : `a folder with ${names.length} other things in it`;
  throw new CheckpointError(
    `${describe(path)} is ${found}, not a checkpoint, and a save would replace it.\n` +
      '  Move it away, or choose another folder: training.save_dir in config.yaml, or --save-dir.',
  );
}

async function explain(path: string, kind: PathKind): Promise<CheckpointError> {
  const parent = dirname(path);
  const withoutExtension = path.replace(/\.(pt|pth|ckpt|bin|safetensors)$/, '');
  const inside = kind === 'folder' ? await listCheckpoints(path) : [];
  const found = inside.length > 0 ? inside : await listCheckpoints(parent);
  const meant = [withoutExtension, ...(kind === 'file' ? [parent] : []), ...inside];
  const right = await firstCheckpoint(meant);
  const advice = [];
  if (right !== undefined) advice.push(`Use ${right}.`);
  if (found.length > 0) advice.push(`Checkpoints here: ${listed(found)}.`);
  if (advice.length === 0)
    advice.push(`No checkpoint is in the folder ${describe(parent)}. Train one first: npm start.`);
  return new CheckpointError(`${problem(path, kind)}\n  ${advice.join(' ')}`);
}

function problem(path: string, kind: PathKind): string {
  const what = `a checkpoint is a folder with ${MODEL_FILE} in it`;
  if (/\.(pt|pth)$/.test(path)) {
    return `${describe(path)} is a name for PyTorch files, which are not read here (they can run code); ${what}.`;
  }
  if (kind === 'file') return `${describe(path)} is a file; ${what}.`;
  if (kind === 'folder') return `${describe(path)} is a folder without ${MODEL_FILE}; ${what}.`;
  return `There is no checkpoint ${describe(path)}; ${what}.`;
}

async function firstCheckpoint(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await isCheckpoint(path)) return path;
  return undefined;
}

function listed(paths: readonly string[]): string {
  const shown = paths.slice(0, MAX_LISTED).join(', ');
  return paths.length > MAX_LISTED ? `${shown} and ${paths.length - MAX_LISTED} more` : shown;
}

/** Anything that isn't a folder counts as a file. */
async function kindOf(path: string): Promise<PathKind> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    if (isMissing(error)) return 'missing';
    throw error;
  }
}

function withoutTrailingSlash(path: string): string {
  const tidy = normalize(path);
  return join(dirname(tidy), basename(tidy));
}
