// The few file operations that metrics.jsonl is made of, as one object: tests put a failing disk or a power cut in their place.

import { closeSync, fsync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';

export interface AppendOps {
  /** Opens an empty file that grows at its end. */
  create(path: string): number;
  /** Returns how many bytes were taken, which may be fewer than given. */
  write(fd: number, bytes: Uint8Array): number;
  /** Waits until the device has everything written so far, without holding up the thread. */
  sync(fd: number): Promise<void>;
  /** The same, on this thread. */
  syncNow(fd: number): void;
  rename(from: string, to: string): void;
  /** Makes the names in a folder survive a power cut. */
  syncFolder(path: string): void;
  close(fd: number): void;
}

export const appendOps: AppendOps = {
  create(path) {
    // What a killed process left is emptied; the descriptor appends, so it stays right whatever others do to the file.
    closeSync(openSync(path, 'w'));
    return openSync(path, 'a');
  },
  write: (fd, bytes) => writeSync(fd, bytes),
  sync: promisify(fsync),
  syncNow: fsyncSync,
  rename: renameSync,
  syncFolder(path) {
    const fd = openSync(path, 'r');
    try {
      fsyncSync(fd);
    } catch (error) {
      // Some network file systems know no fsync of folders: there the names are as safe as they can be.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EINVAL' && code !== 'ENOTSUP') throw error;
    } finally {
      closeSync(fd);
    }
  },
  close: closeSync,
};
