// `npx gpt-loom` in the clone: npx looks in node_modules/.bin, where npm links only the commands of other packages.

import { chmodSync, lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { CLI } from './compile.mjs';
import { root } from './files.mjs';

/** Makes the link and the program behind it executable. */
export function linkCommand() {
  chmodSync(CLI, 0o755);
  const link = join(root, 'node_modules/.bin/gpt-loom');
  const target = relative(dirname(link), CLI);
  if (targetOf(link) === target) return;
  rmSync(link, { force: true, recursive: true });
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(target, link);
}

function targetOf(link) {
  try {
    return lstatSync(link).isSymbolicLink() ? readlinkSync(link) : null;
  } catch {
    return null;
  }
}
