// One set-up of this folder at a time: a folder .build/setup.lock that holds the number of the process.

import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from './files.mjs';

const POLL_MS = 100;
/** Between making the folder and writing the number into it there is an instant; after this long its maker must be dead. */
const UNOWNED_MS = 5000;

/** Waits for the lock, takes over that of a dead process, and resolves to the function that gives it back. */
export async function takeLock(onWait) {
  const build = join(root, '.build');
  const lock = join(build, 'setup.lock');
  mkdirSync(build, { recursive: true });
  for (let isFirst = true; !tryTake(lock); isFirst = false) {
    if (isAbandoned(lock)) {
      remove(lock);
      continue;
    }
    if (isFirst) onWait();
    await sleep(POLL_MS);
  }
  return () => rmSync(lock, { recursive: true, force: true });
}

function tryTake(lock) {
  try {
    mkdirSync(lock);
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
  writeFileSync(join(lock, 'pid'), String(process.pid));
  return true;
}

function isAbandoned(lock) {
  try {
    const pid = Number(readFileSync(join(lock, 'pid'), 'utf8'));
    if (pid > 0) return !isAlive(pid);
    return isOlderThan(lock, UNOWNED_MS);
  } catch {
    return isOlderThan(lock, UNOWNED_MS);
  }
}

function isOlderThan(path, ms) {
  try {
    return Date.now() - statSync(path).mtimeMs > ms;
  } catch {
    return false;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** By renaming: of several that find the same abandoned lock, one succeeds. */
function remove(lock) {
  const aside = `${lock}.${process.pid}`;
  try {
    renameSync(lock, aside);
  } catch {
    return;
  }
  rmSync(aside, { recursive: true, force: true });
}
