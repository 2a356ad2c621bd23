// The tokenizer of config.yaml: built from the training data when it is missing or was built from something else.
// A tokenizer that doesn't come from the data is the user's and stays.

import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CLI } from './compile.mjs';
import { SetupError } from './error.mjs';
import { fingerprint, listFiles, readJson, readOrNull, root, writeJson } from './files.mjs';
import { run } from './run.mjs';

const STAMP = join(root, '.build/tokenizer.json');
const COMPARISON = join(root, '.build/tokenizer-comparison.json');

/** What decides the tokenizer apart from configuration and data. */
const CODE_FILES = ['src/data/template.ts', 'src/commands/tokenizer.ts'];

/**
 * The stamp holds fingerprints: `inputs` of what the tokenizer was built from and `output` of the file that came out,
 * or `kept` of a file that somebody put there.
 */
export async function buildTokenizer(onStart, print) {
  const config = await loadConfig();
  // A broken config.yaml is for the command that follows to report; it may have been told to use another.
  if (config === null) return;
  const path = resolve(root, config.tokenizer.path);
  const code = [...listFiles(join(root, 'src/tokenizer'), /\.ts$/), ...CODE_FILES.map((name) => join(root, name))];
  const inputs = fingerprint([...code, resolve(root, config.data.trainPath)], config.tokenizer.vocabSize, path);
  const stamp = readJson(STAMP);
  const present = readOrNull(path);
  const output = present && fingerprint([path]);

  if (present !== null && (stamp?.kept === output || (stamp?.output === output && stamp.inputs === inputs))) return;
  if (present === null || stamp?.output === output) {
    onStart('building the tokenizer');
    await runBuild(path);
    writeJson(STAMP, { inputs, output: fingerprint([path]) });
    return;
  }
  // Not our last one. It may still be what the data gives: built by hand, or before .build was removed.
  onStart('comparing the tokenizer with one built from the data');
  await runBuild(COMPARISON);
  const isOurs = readOrNull(COMPARISON).equals(present);
  rmSync(COMPARISON);
  if (!isOurs)
    print(`keeping ${config.tokenizer.path}, which is another one; delete it to have one built from the data.`);
  writeJson(STAMP, isOurs ? { inputs, output } : { kept: output });
}

async function runBuild(path) {
  const { ok, output } = await run(process.execPath, [CLI, 'tokenizer', 'build', '--out', path], { cwd: root });
  if (!ok) throw new SetupError(output, 2);
}

/** Null when it is refused. */
async function loadConfig() {
  const { loadConfig: load } = await import(pathToFileURL(join(root, '.build/js/src/config/load.js')).href);
  try {
    return load({ configPath: join(root, 'config.yaml') });
  } catch (error) {
    if (error.name === 'ConfigError') return null;
    throw error;
  }
}
