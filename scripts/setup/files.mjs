// Files by content: what a step depends on, and stamps that remember it. Times of change are never trusted: git doesn't keep them.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of package.json. */
export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** All files below `folder` whose name matches, sorted; none if there is no such folder. */
export function listFiles(folder, pattern) {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return listFiles(path, pattern);
      return pattern.test(entry.name) ? [path] : [];
    })
    .sort();
}

/** SHA-256 over the names and contents of files and over `extra` texts. A missing file counts as one without content. */
export function fingerprint(files, ...extra) {
  const hash = createHash('sha256');
  for (const file of files) {
    const content = readOrNull(file);
    hash.update(`${relative(root, file)}\0${content === null ? 'missing' : content.length}\0`);
    if (content !== null) hash.update(content);
  }
  for (const text of extra) hash.update(`${text}\0`);
  return hash.digest('hex');
}

export function readOrNull(path) {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}

/** The parsed JSON file, or null if it is missing or broken: then the step is done again. */
export function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

/** In one piece or not at all, whoever else writes it. */
export function writeJson(path, value) {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, `${JSON.stringify(value, null, 2)}\n`);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}
