// Mutated files, a few hundred of each kind; the torture run reads a million.

import { join } from 'node:path';
import { before, test } from 'node:test';
import { fuzzFolders, fuzzInProcess, type Seeds, TARGETS } from '../torture/fuzz.js';
import { fuzzCommands } from '../torture/fuzz-commands.js';
import { createProject, trainToEnd } from './project.js';

const SEED = 20261124;

let seeds: Seeds;

before(async () => {
  const project = createProject(8);
  await trainToEnd(project, 'run', ['--max-steps', '7']);
  seeds = { project, saveDir: join(project, 'run') };
});

for (const target of TARGETS) {
  test(`hostile files: mutants of a ${target} are read or refused with an error of ours`, async () => {
    await fuzzInProcess(target, 300, SEED, seeds);
  });
}

test('hostile files: mutants of a checkpoint folder are loaded or refused', async () => {
  await fuzzFolders(100, SEED, seeds);
});

test('hostile files: the command line refuses mutants with code 2 and without a stack trace, within a second', async () => {
  for (const target of TARGETS) await fuzzCommands(target, 2, SEED, seeds);
});
