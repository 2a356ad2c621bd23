// Reads a checkpoint's files: regular files only (a pipe would hang), of bounded size, with errors a user can act on.

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { alignedBytes } from '../addon/addon.js';
import { CheckpointError, FileError } from '../errors.js';
import { damaged } from './json.js';
import { LENGTH_BYTES, MAX_FILE_BYTES, parseHeader, parseHeaderLength, type StoredTensor } from './safetensors.js';

export interface SafetensorsFile {
  readonly stored: readonly StoredTensor[];
  /** All bytes before the data section, then the data section, in memory of its own. */
  readonly head: Uint8Array;
  readonly data: Uint8Array;
}

/** Throws CheckpointError (missing, too large, not UTF-8) or FileError (unreadable). */
export function readText(path: string, maxBytes: number): Promise<string> {
  return withFile(path, maxBytes, async (file, size) => {
    const bytes = await readBytes(file, 0, size, path);
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch (cause) {
      throw damaged(path, 'it is not UTF-8', cause);
    }
  });
}

/** Reads the header, lets `check` refuse what it describes, and only then reads the tensors. */
export function readSafetensors(
  path: string,
  check: (stored: readonly StoredTensor[]) => void,
): Promise<SafetensorsFile> {
  return withFile(path, MAX_FILE_BYTES, async (file, size) => {
    const prefix = await readBytes(file, 0, Math.min(LENGTH_BYTES, size), path);
    const begin = LENGTH_BYTES + parseHeaderLength(prefix, size, path);
    const head = await readBytes(file, 0, begin, path);
    const stored = parseHeader(head.subarray(LENGTH_BYTES), size - begin, path);
    check(stored);
    return { stored, head, data: await readBytes(file, begin, size - begin, path) };
  });
}

async function withFile<T>(
  path: string,
  maxBytes: number,
  use: (file: FileHandle, size: number) => Promise<T>,
): Promise<T> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK); // Non-blocking: opening a pipe must not wait.
    const stat = await file.stat();
    if (!stat.isFile()) throw damaged(path, 'it is not a regular file');
    if (stat.size > maxBytes) throw damaged(path, `it has ${stat.size} bytes, more than ${maxBytes}`);
    return await use(file, stat.size);
  } catch (error) {
    throw readError(path, error);
  } finally {
    await file?.close();
  }
}

async function readBytes(file: FileHandle, position: number, length: number, path: string): Promise<Uint8Array> {
  const bytes = allocate(length, path);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw damaged(path, `it ends after ${position + done} bytes while being read`);
    done += bytesRead;
  }
  return bytes;
}

function allocate(length: number, path: string): Uint8Array {
  try {
    return alignedBytes(length);
  } catch (cause) {
    throw damaged(path, `its ${length} bytes don't fit into memory`, cause);
  }
}

function readError(path: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof CheckpointError || code === undefined) return error;
  if (code === 'ENOENT') return damaged(path, 'the file is missing', error);
  return new FileError(`${path} can't be read: ${message}.\n  Check the permissions and the device.`, { cause: error });
}
