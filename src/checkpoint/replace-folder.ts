// Replaces a folder as a whole, so that at any moment, power cuts included, a complete one can be found.
// The new one is filled aside as `.<name>.new-<pid>-<n>`, then swapped in; without an atomic exchange the old one steps aside
// as `.<name>.old-<pid>-<n>` first. `recover` ends what a dead process left half done. Knows nothing of checkpoints' contents.

import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createFileOps, type FileOps } from './file-ops.js';

interface Stray {
  readonly path: string;
  readonly name: string;
  readonly role: 'new' | 'old';
  readonly pid: number;
  readonly serial: number;
}

const STRAY = /^\.(.+)\.(new|old)-(\d{1,7})-(\d{1,15})$/;

/** A live swap takes microseconds; after this long its owner is taken for dead, its process number for reused. */
const SWAP_PATIENCE_MS = 1000;

/** Serials of this process's replacements under way: other strays with its number come from a dead one that had it before. */
const underWay = new Set<number>();
let lastSerial = 0;

/**
 * Puts a folder in place of `path` (or where nothing is yet). `fill` gets a new folder to write into; it syncs its own files.
 * When it throws, `path` is as it was and what was written is removed. Returns what `fill` returned.
 * One call at a time for a path.
 */
export async function replaceFolder<T>(path: string, fill: (folder: string) => Promise<T>, ops: FileOps): Promise<T> {
  await recover(dirname(path), ops);
  const serial = ++lastSerial;
  underWay.add(serial);
  try {
    const next = strayPath(path, 'new', serial);
    const result = await fillFolder(next, fill, ops);
    await swapIn(path, next, strayPath(path, 'old', serial), ops);
    return result;
  } finally {
    underWay.delete(serial);
  }
}

/** Ends every swap that a dead process left unfinished in `parent`, then removes what dead processes left lying there. */
export async function recover(parent: string, ops: FileOps = createFileOps()): Promise<void> {
  const strays = await listStrays(parent);
  for (const name of new Set(strays.map((stray) => stray.name))) await finishSwap(join(parent, name), ops);
  for (const stray of await listStrays(parent)) {
    // What can't be removed (another user's, say) does no harm: it isn't found as a checkpoint, and the next sweep tries again.
    if (!isOwnerAlive(stray)) await ops.remove(stray.path).catch(() => undefined);
  }
}

/** Mends the one gap a swap without exchange has: `path` stepped aside and its successor not yet in place. Removes nothing. */
export async function finishSwap(path: string, ops: FileOps = createFileOps()): Promise<void> {
  const giveUpAt = performance.now() + SWAP_PATIENCE_MS;
  while (!(await exists(path))) {
    const strays = (await listStrays(dirname(path))).filter((stray) => stray.name === basename(path));
    const old = strays.find((stray) => isOld(stray) && successorOf(stray, strays)) ?? strays.find(isOld);
    if (old === undefined) return;
    if (isOwnerAlive(old) && performance.now() < giveUpAt) {
      await delay(5);
      continue;
    }
    // The old one steps aside only when the new one is complete and on the device.
    await renameUnlessPresent((successorOf(old, strays) ?? old).path, path, ops);
    await ops.syncFolder(dirname(path));
    return;
  }
}

async function fillFolder<T>(folder: string, fill: (folder: string) => Promise<T>, ops: FileOps): Promise<T> {
  try {
    await ops.mkdir(folder);
    const result = await fill(folder);
    await ops.syncFolder(folder);
    return result;
  } catch (error) {
    await ops.remove(folder).catch(() => undefined); // A full disk gets its space back at once; else the next sweep does it.
    throw error;
  }
}

/** An error in here leaves strays, from which `recover` makes a complete folder: nothing is removed that might be needed. */
async function swapIn(path: string, next: string, old: string, ops: FileOps): Promise<void> {
  const parent = dirname(path);
  if (!(await exists(path))) {
    await ops.rename(next, path);
    await ops.syncFolder(parent);
  } else if (ops.exchange(next, path)) {
    await ops.syncFolder(parent);
    await ops.remove(next).catch(() => undefined); // The save has succeeded; the next sweep tries again.
  } else {
    await ops.rename(path, old);
    await renameUnlessPresent(next, path, ops).catch(async (error) => {
      await ops.rename(old, path).catch(() => undefined);
      throw error;
    });
    await ops.syncFolder(parent);
    // Under the other name, what remains of it after a crash can't be taken for a checkpoint that stepped aside.
    await ops
      .rename(old, next)
      .then(() => ops.remove(next))
      .catch(() => undefined);
  }
}

/** A reader that lost patience with a stopped process may have finished its swap: then `to` is there and all is well. */
async function renameUnlessPresent(from: string, to: string, ops: FileOps): Promise<void> {
  try {
    await ops.rename(from, to);
  } catch (error) {
    if (!(await exists(to))) throw error;
  }
}

function isOld(stray: Stray): boolean {
  return stray.role === 'old';
}

function successorOf(old: Stray, strays: readonly Stray[]): Stray | undefined {
  return strays.find(({ role, pid, serial }) => role === 'new' && pid === old.pid && serial === old.serial);
}

/** What `recover` sweeps when this process is gone. */
export function strayPath(path: string, role: Stray['role'], serial: number): string {
  return join(dirname(path), `.${basename(path)}.${role}-${process.pid}-${serial}`);
}

async function listStrays(parent: string): Promise<Stray[]> {
  const strays: Stray[] = [];
  for (const entry of await readdir(parent).catch(noneIfMissing)) {
    const match = STRAY.exec(entry);
    if (match === null) continue;
    const [, name, role, pid, serial] = match as unknown as [string, string, Stray['role'], string, string];
    strays.push({ path: join(parent, entry), name, role, pid: Number(pid), serial: Number(serial) });
  }
  return strays;
}

function noneIfMissing(error: NodeJS.ErrnoException): string[] {
  if (isMissing(error)) return [];
  throw error;
}

function isOwnerAlive({ pid, serial }: Stray): boolean {
  if (pid === process.pid) return underWay.has(serial);
  if (pid === 0) return false; // To kill(2), 0 means the caller's own group.
  try {
    process.kill(pid, 0); // Signal 0 only asks whether the process is there.
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** ENOTDIR: a part of the path is a file. ENAMETOOLONG: nothing can have that name. */
export function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes((error as NodeJS.ErrnoException).code ?? '');
}
