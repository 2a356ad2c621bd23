// Writes a text file at once or not at all: aside first, then into its place.

import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { FileError } from '../../errors.js';
import { makeFolder } from '../../folder.js';

/** `flag` is what the user can change the path with. Throws FileError. */
export function saveText(path: string, text: string, flag: string): void {
  const aside = `${path}.${process.pid}.tmp`;
  try {
    makeFolder(dirname(path));
    writeFileSync(aside, text);
    renameSync(aside, path);
  } catch (cause) {
    if (existsSync(aside)) rmSync(aside);
    // Node's message goes on with the name of the file aside, which nobody knows.
    const [reason] = (cause as Error).message.split(',');
    throw new FileError(
      `${path} can't be written: ${reason}.\n  Choose a place that can be written to: ${flag} FILE.`,
      { cause },
    );
  }
}
