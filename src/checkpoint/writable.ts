// Asked once before training starts: can checkpoints be saved here? Better to hear it now than after the first hundred steps.

import { join } from 'node:path';
import { CheckpointError, ConfigError, FileError } from '../errors.js';
import { makeFolder } from '../folder.js';
import { createFileOps, type FileOps } from './file-ops.js';
import { describe } from './json.js';
import { checkReplaceable } from './locate.js';
import { CHECKPOINT_KINDS } from './names.js';
import { recover, strayPath } from './replace-folder.js';
import { writeNewFile } from './write-file.js';

/** The path itself is wrong: no folder can be there. */
const NO_FOLDER: ReadonlySet<string> = new Set(['EEXIST', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'EINVAL']);

/**
 * Creates the save directory if need be, tries a write in it, and mends and sweeps what dead processes left.
 * Throws ConfigError, or FileError for what the system doesn't let us do, naming training.save_dir and --save-dir.
 */
export async function ensureWritable(saveDir: string, ops: FileOps = createFileOps()): Promise<void> {
  try {
    makeFolder(saveDir);
    await recover(saveDir, ops);
    // Named like a stray: should this process die with it, the next one sweeps it.
    const probe = strayPath(join(saveDir, 'probe'), 'new', 0);
    await writeNewFile(ops, probe, [Uint8Array.of(1)]);
    await ops.remove(probe);
    for (const kind of CHECKPOINT_KINDS) await checkReplaceable(join(saveDir, kind));
  } catch (cause) {
    if (cause instanceof CheckpointError) throw new ConfigError(cause.message, { cause });
    const { code = '', message } = cause as NodeJS.ErrnoException;
    const text =
      `The save directory ${describe(saveDir)} can't be written: ${message}.\n` +
      '  Checkpoints and metrics go there. Choose another: training.save_dir in config.yaml, or --save-dir.';
    throw NO_FOLDER.has(code) ? new ConfigError(text, { cause }) : new FileError(text, { cause });
  }
}
