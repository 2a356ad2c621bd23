// File operations on a real folder that fail, or stop as if the process had been killed, at the n-th one; or write down what they do.

import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { createFileOps, type FileOps, type NewFile } from '../../../src/checkpoint/file-ops.js';

export type FaultKind =
  /** Dies before the operation, which is right after the one before. */
  | 'killed before'
  /** Dies half-way through it: counts only writes and removals, which alone have a half. */
  | 'killed within'
  /** The operation fails once. */
  | 'EIO'
  /** From the n-th operation on every one fails: a device that is gone. */
  | 'EIO for ever'
  /** From the n-th operation on nothing that needs room succeeds, as on a full disk; removals do. */
  | 'ENOSPC'
  /** A write takes half of what it is given, once: counts writes. */
  | 'short write';

export class Killed extends Error {}

export interface FaultyOps {
  readonly ops: FileOps;
  /** Operations so far of those that the fault can hit. */
  count(): number;
}

/** Operations that go wrong at number `at` (from 1). Nothing is really synced, to be fast: a kill can't undo a write anyway. */
export function createFaultyOps(kind: FaultKind, at: number, canExchange: boolean): FaultyOps {
  const real = createFileOps(canExchange ? exchangeByRenames : () => false);
  let count = 0;
  let isDead = false;
  const die = (): never => {
    isDead = true;
    throw new Killed();
  };
  /** Whether the fault is this operation's to act out; faults before an operation end it here. */
  const isHit = (operation: 'write' | 'remove' | 'other'): boolean => {
    if (isDead) throw new Killed();
    if (!canHit(kind, operation)) return false;
    count++;
    const isDue = kind === 'ENOSPC' || kind === 'EIO for ever' ? count >= at : count === at;
    if (!isDue) return false;
    if (kind === 'killed before') die();
    if (kind.startsWith('EIO')) throw systemError('EIO', 'i/o error');
    if (kind === 'ENOSPC') throw systemError('ENOSPC', 'no space left');
    return true;
  };
  const wrap = (file: NewFile): NewFile => ({
    write: async (bytes) => {
      if (!isHit('write')) return file.write(bytes);
      const taken = await file.write(bytes.subarray(0, bytes.length >> 1));
      return kind === 'short write' ? taken : die();
    },
    sync: async () => {
      isHit('other');
    },
    close: async () => {
      await file.close(); // The system closes a dead process's files too.
      isHit('other');
    },
  });
  const ops: FileOps = {
    mkdir: async (path) => {
      isHit('other');
      await real.mkdir(path);
    },
    create: async (path) => {
      isHit('other');
      return wrap(await real.create(path));
    },
    syncFolder: async () => {
      isHit('other');
    },
    rename: async (from, to) => {
      isHit('other');
      await real.rename(from, to);
    },
    exchange: (a, b) => {
      isHit('other');
      return real.exchange(a, b);
    },
    remove: async (path) => {
      if (!isHit('remove')) return real.remove(path);
      removeHalf(path);
      die();
    },
  };
  return { ops, count: () => count };
}

function canHit(kind: FaultKind, operation: 'write' | 'remove' | 'other'): boolean {
  if (kind === 'killed within') return operation !== 'other';
  if (kind === 'ENOSPC') return operation !== 'remove';
  return kind !== 'short write' || operation === 'write';
}

/**
 * Operations that write down what they do: names relative to `folder`, without process and serial numbers. `before` is called
 * before each.
 */
export function createTracedOps(
  folder: string,
  canExchange: boolean,
  before: () => void = () => {},
): { ops: FileOps; trace: string[] } {
  const real = createFileOps(canExchange ? exchangeByRenames : () => false);
  const trace: string[] = [];
  const traced =
    <A extends unknown[], R>(what: string, run: (...args: A) => R) =>
    (...args: A): R => {
      const paths = args.filter((arg) => typeof arg === 'string');
      const names = paths.map((path) => (relative(folder, path) || '.').replace(/-\d+-\d+/, ''));
      trace.push([what, ...names].join(' '));
      before();
      return run(...args);
    };
  const create = async (path: string): Promise<NewFile> => {
    const file = await real.create(path);
    return {
      write: traced('write', file.write),
      sync: traced('sync', file.sync),
      close: traced('close', file.close),
    };
  };
  const ops: FileOps = {
    mkdir: traced('mkdir', real.mkdir),
    create: traced('create', create),
    syncFolder: traced('syncFolder', real.syncFolder),
    rename: traced('rename', real.rename),
    exchange: traced('exchange', real.exchange),
    remove: traced('remove', real.remove),
  };
  return { ops, trace };
}

/** To the tests one step, since no fault falls into it: so they run where the native exchange isn't built. */
export function exchangeByRenames(a: string, b: string): boolean {
  renameSync(a, `${a}.aside`);
  renameSync(b, a);
  renameSync(`${a}.aside`, b);
  return true;
}

function systemError(code: string, text: string): Error {
  return Object.assign(new Error(`${code}: ${text}`), { code });
}

function removeHalf(path: string): void {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const names = readdirSync(path);
  for (const name of names.slice(0, Math.ceil(names.length / 2))) rmSync(join(path, name), { recursive: true });
}
