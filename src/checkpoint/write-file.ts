// Writes one new file completely: every byte counted, hashed, and on the device before it returns.

import { createHash } from 'node:crypto';
import type { FileOps, NewFile } from './file-ops.js';

export interface WrittenFile {
  readonly bytes: number;
  /** Of the whole file, in hex. */
  readonly sha256: string;
}

/** Large enough for few calls; small enough that hashing one piece holds up the event loop for about a millisecond. */
const PIECE_BYTES = 1 << 20;

/** Of the file written last: new memory for every file would pile up between garbage collections. null while it is in use. */
let spare: Uint8Array | null = null;

/** Writes the chunks one after the other. They are copied before the first wait, so each may reuse its memory. */
export async function writeNewFile(ops: FileOps, path: string, chunks: Iterable<Uint8Array>): Promise<WrittenFile> {
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await ops.create(path);
  const memory = spare ?? new Uint8Array(PIECE_BYTES);
  spare = null;
  try {
    for (const piece of gather(chunks, memory)) {
      hash.update(piece);
      await writeFully(file, piece);
      bytes += piece.length;
    }
    await file.sync();
  } catch (error) {
    await file.close().catch(() => undefined); // The first error is the one to report.
    throw error;
  } finally {
    spare = memory;
  }
  await file.close();
  return { bytes, sha256: hash.digest('hex') };
}

/** Collects chunks of any size into pieces as large as `piece`, its memory; each is valid until the next one is taken. */
function* gather(chunks: Iterable<Uint8Array>, piece: Uint8Array): Generator<Uint8Array> {
  let filled = 0;
  for (const chunk of chunks) {
    for (let taken = 0; taken < chunk.length; ) {
      const part = chunk.subarray(taken, taken + piece.length - filled);
      piece.set(part, filled);
      taken += part.length;
      filled += part.length;
      if (filled === piece.length) {
        yield piece;
        filled = 0;
      }
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}

/** A full disk may take part of a write and report no error, so what was taken is counted. */
async function writeFully(file: NewFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const taken = await file.write(bytes.subarray(done));
    if (taken <= 0) throw Object.assign(new Error('the device takes no more bytes'), { code: 'ENOSPC' });
    done += taken;
  }
}
