// One run per folder: whoever trains into a folder holds its lock. The lock of a dead process, kill -9 included, is free.
// Linux: names in the abstract socket namespace, which the kernel frees with the process; they cover this machine (one network
// namespace: a container is a machine of its own) and all its users. Elsewhere: a file in the folder with the process's number.

import { createHash } from 'node:crypto';
import { link, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { LockError } from '../errors.js';
import { makeFolder } from '../folder.js';
import { describe } from './json.js';

export interface RunLock {
  release(): Promise<void>;
}

/** Takes the lock of a folder, or says what to do about its being taken. */
export type TakeLock = (realFolder: string) => Promise<RunLock | { readonly advice: string }>;

/** Creates the folder if need be. Throws LockError at once if another run has it. */
export async function lockFolder(
  folder: string,
  take: TakeLock = process.platform === 'linux' ? lockByName : lockByFile,
): Promise<RunLock> {
  makeFolder(folder);
  // Another spelling of the path, or a link to it, is the same folder.
  const lock = await take(await realpath(folder));
  if ('release' in lock) return lock;
  throw new LockError(
    `The folder ${describe(folder)} is in use: another training writes its checkpoints and metrics there.\n` +
      `  One run at a time may use a folder. Wait until it ends, or choose another: --save-dir.${lock.advice}`,
  );
}

/**
 * Whether a training on this machine has the folder's lock. Only looks: who takes the lock meanwhile isn't disturbed. Throws what
 * the system throws if the folder can't be read.
 */
export async function isLocked(folder: string): Promise<boolean> {
  const real = await realpath(folder);
  if (process.platform !== 'linux') return (await listLockFiles(real)).some(({ pid }) => isAlive(pid));
  const socket = connect((await socketNames(real))[0]);
  const isThere = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    // A process that is suspended answers nobody, and in the end the system not even with that.
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
  socket.destroy();
  return isThere;
}

/** The names have no owner but the sockets, so they can't be left behind. */
export const lockByName: TakeLock = async (realFolder) => {
  const held: Server[] = [];
  const release = async () => {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  };
  for (const name of await socketNames(realFolder)) {
    const server = await listen(name);
    if (server === null) {
      await release();
      return { advice: '' };
    }
    held.push(server);
  }
  return { release };
};

/** Null if somebody has the name. */
function listen(name: string): Promise<Server | null> {
  const server = createServer((socket) => socket.destroy());
  server.unref(); // It keeps the name, not the process.
  return new Promise((resolve, reject) => {
    server.once('listening', () => resolve(server));
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(null) : reject(error),
    );
    server.listen(name);
  });
}

/**
 * Of the folder itself, by device and inode, since one may be mounted in two places; and of its path, by which the files are
 * written: a folder may be moved or deleted under a run, and another one made there.
 */
async function socketNames(realFolder: string): Promise<string[]> {
  const { dev, ino } = await stat(realFolder, { bigint: true });
  return [`${dev} ${ino}`, realFolder].map(
    (text) => `\0gpt-loom-${createHash('sha256').update(text).digest('hex').slice(0, 32)}`,
  );
}

/**
 * Lock files have generations. A dead process's file isn't removed to make room: then two could each remove the other's. The
 * next generation is made, which only one can do, and what lies below it is removed afterwards.
 */
export const lockByFile: TakeLock = async (realFolder) => {
  for (;;) {
    const files = await listLockFiles(realFolder);
    const held = files.find(({ pid }) => isAlive(pid));
    if (held !== undefined) {
      return { advice: `\n  If process ${held.pid} is no training, its number was used again: delete ${held.path}.` };
    }
    const generation = Math.max(0, ...files.map((file) => file.generation)) + 1;
    const path = join(realFolder, `${LOCK_NAME}${generation}`);
    if (!(await tryCreate(path))) continue;
    // Somebody may have made a higher generation between our look and our file, and removed the one that ours replaces.
    const others = (await listLockFiles(realFolder)).filter((file) => file.generation !== generation);
    if (others.some((file) => file.generation > generation)) {
      await rm(path, { force: true });
      continue;
    }
    for (const other of others) await rm(other.path, { force: true });
    return { release: () => rm(path, { force: true }) };
  }
};

const LOCK_NAME = '.running-';

interface LockFile {
  readonly path: string;
  readonly generation: number;
  readonly pid: number;
}

async function listLockFiles(folder: string): Promise<LockFile[]> {
  const files: LockFile[] = [];
  for (const name of await readdir(folder)) {
    if (!/^\.running-\d{1,9}$/.test(name)) continue;
    const path = join(folder, name);
    const text = await readFile(path, 'utf8').catch(() => null); // Removed since.
    if (text !== null) files.push({ path, generation: Number(name.slice(LOCK_NAME.length)), pid: Number(text) });
  }
  return files;
}

/** Creates the file with our number in it, in one step, so that nobody sees it empty. False: it is there. */
async function tryCreate(path: string): Promise<boolean> {
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, String(process.pid));
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0); // Signal 0 only asks whether the process is there.
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
