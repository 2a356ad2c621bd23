// TypeScript -> .build/js, when a source, the settings or the compiler changed.

import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { SetupError } from './error.mjs';
import { fingerprint, listFiles, readJson, root, writeJson } from './files.mjs';
import { run } from './run.mjs';

const SOURCE_FOLDERS = ['src', 'workers', 'test'];
const OUTPUT = join(root, '.build/js');
const STAMP = join(OUTPUT, 'stamp.json');

export const CLI = join(OUTPUT, 'src/cli.js');

/** Type errors end the set-up. Compiled files whose source is gone are removed: nothing may run them. */
export async function compile(onStart) {
  const sources = SOURCE_FOLDERS.flatMap((folder) => listFiles(join(root, folder), /\.tsx?$/));
  const outputs = new Set(sources.map(outputOf));
  const settings = ['tsconfig.json', 'package.json'].map((name) => join(root, name));
  const typescript = readJson(join(root, 'node_modules/typescript/package.json'))?.version;
  const hash = fingerprint([...sources, ...settings], typescript);
  const isComplete = [...outputs].every((output) => existsSync(output));
  if (isComplete && readJson(STAMP)?.hash === hash) return;

  onStart('compiling TypeScript');
  rmSync(STAMP, { force: true });
  // The compiler takes its own notes for the truth, not what lies in the folder.
  if (!isComplete) rmSync(join(OUTPUT, 'tsbuildinfo'), { force: true });
  removeStale(OUTPUT, outputs);
  const { ok, output } = await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc')], { cwd: root });
  if (!ok) throw new SetupError(`TypeScript found errors:\n${output}`);
  writeJson(STAMP, { hash });
}

function outputOf(source) {
  return join(OUTPUT, relative(root, source).replace(/\.tsx?$/, '.js'));
}

function removeStale(folder, outputs) {
  for (const file of listFiles(folder, /\.js$/)) {
    if (outputs.has(file)) continue;
    rmSync(file);
    if (readdirSync(dirname(file)).length === 0) rmdirSync(dirname(file));
  }
}
