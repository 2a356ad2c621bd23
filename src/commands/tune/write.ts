// Puts the chosen setting into the configuration file: whole or not at all, and nothing else in it changes.

import {
  chmodSync,
  existsSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { configFromObject, DEFAULT_CONFIG_PATH } from '../../config/load.js';
import { parseYaml } from '../../config/yaml.js';
import { FileError } from '../../errors.js';
import { editTraining } from '../../tune/edit-config.js';
import type { Setting } from '../../tune/settings.js';
import type { ConfigOptions } from '../options.js';

export function configPathOf(options: ConfigOptions): string {
  return options.config ?? DEFAULT_CONFIG_PATH;
}

/** Creates the file if there is none. Returns whether it changed. Throws ConfigError or FileError, the file as it was. */
export function writeChoice(path: string, { threads, microBatch }: Setting): boolean {
  const text = readIfThere(path);
  const edited = editTraining(text, { threads, micro_batch: microBatch }, path);
  if (edited === text) return false;
  // The batch size may have come from the command line: the file alone must make sense too.
  configFromObject(parseYaml(edited, path).values, path);
  replaceFile(path, edited);
  return true;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw fileError(path, cause);
  }
}

/** A link stays a link, and permissions stay. */
function replaceFile(path: string, text: string): void {
  let aside: string | null = null;
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    const target = stats === undefined ? path : realpathSync(path);
    aside = `${target}.${process.pid}.tmp`;
    writeFileSync(aside, text);
    if (stats !== undefined) chmodSync(aside, stats.mode);
    renameSync(aside, target);
  } catch (cause) {
    if (aside !== null && existsSync(aside)) rmSync(aside);
    throw fileError(path, cause);
  }
}

function fileError(path: string, cause: unknown): FileError {
  return new FileError(
    `${path} can't be written: ${(cause as Error).message}.\n` +
      '  It is as it was. Make it writable, or put the two values into it by hand.',
    { cause },
  );
}
