// A tokenizer.json on disk: the old file stays whole until the new one is complete.

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { FileError } from '../errors.js';
import { makeFolder } from '../folder.js';
import { formatTokenizer, type TokenizerJson } from './format.js';

/** Creates missing folders. Throws FileError, and then leaves what was there. */
export function saveTokenizer(path: string, definition: TokenizerJson): void {
  try {
    makeFolder(dirname(path));
    replaceFile(path, formatTokenizer(definition));
  } catch (cause) {
    throw new FileError(
      `The tokenizer cannot be written to ${path} (${(cause as NodeJS.ErrnoException).code ?? cause}).\n` +
        '  Make room, or choose a file in a folder that can be written to: --out FILE',
      { cause },
    );
  }
}

function replaceFile(path: string, text: string): void {
  const aside = `${path}.${process.pid}.tmp`;
  const file = openSync(aside, 'w');
  try {
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}
