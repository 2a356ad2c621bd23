// The few file operations a save is made of, as one object: tests put a failing disk or a dying process in its place.

import { mkdir as nodeMkdir, rename as nodeRename, open, rm } from 'node:fs/promises';
import { exchangePaths } from '../addon/addon.js';

export interface FileOps {
  /** Creates one folder; fails if it exists. */
  mkdir(path: string): Promise<void>;
  /** Creates a file for writing; fails if it exists. */
  create(path: string): Promise<NewFile>;
  /** Makes the names in a folder survive a power cut. */
  syncFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Swaps two existing paths in one step; false (and nothing done) where the system can't. */
  exchange(a: string, b: string): boolean;
  /** Removes a file or a whole folder; what isn't there is no error. */
  remove(path: string): Promise<void>;
}

export interface NewFile {
  /** Returns how many bytes were taken, which may be fewer than given. */
  write(bytes: Uint8Array): Promise<number>;
  /** Waits until the device has everything written so far. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The real file system. `exchange` is a parameter so that the way without it can be tested anywhere. */
export function createFileOps(exchange: (a: string, b: string) => boolean = exchangePaths): FileOps {
  return { mkdir, create, syncFolder, rename: nodeRename, exchange, remove };
}

async function mkdir(path: string): Promise<void> {
  await nodeMkdir(path);
}

async function create(path: string): Promise<NewFile> {
  const file = await open(path, 'wx');
  return {
    write: async (bytes) => (await file.write(bytes)).bytesWritten,
    sync: () => file.sync(),
    close: () => file.close(),
  };
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Some network file systems know no fsync of folders: there the names are as safe as they can be.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EINVAL' && code !== 'ENOTSUP') throw error;
  } finally {
    await folder.close();
  }
}

function remove(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true });
}
