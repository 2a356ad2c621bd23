// Lint and format, then all tests on the compiled JavaScript; the set-up before it has checked the types.
// node:test has the last word, so that its summary ends the output. Exit code 1 if anything failed.
// `npm test -- config cli` runs the tests whose path contains one of the words.

import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { listFiles, root } from './setup/files.mjs';

const env = testEnvironment();
const isClean = run(join(root, 'node_modules/.bin/biome'), ['check', '.']);
if (!isClean)
  process.stderr.write('lint: biome found the above; `npm run format` mends most of it. The tests follow.\n');
const passed = run(process.execPath, [
  '--test',
  '--test-reporter=spec',
  ...concurrencyFlag(),
  ...compiledTests(process.argv.slice(2)),
]);
process.exitCode = isClean && passed ? 0 : 1;

/** Files are listed from the sources: what was compiled from a test that is gone must not run. */
function compiledTests(words) {
  const sources = listFiles(join(root, 'test'), /\.test\.tsx?$/).map((source) => relative(root, source));
  const chosen = words.length === 0 ? sources : sources.filter((source) => words.some((word) => source.includes(word)));
  if (chosen.length === 0) {
    process.stderr.write(`No test file's path contains ${words.join(' or ')}.\n`);
    process.exit(1);
  }
  return chosen.map((source) => join(root, '.build/js', source.replace(/\.tsx?$/, '.js')));
}

/** Node leaves one processor free by default, which is half of them on a small machine. The flag is known from 20.10 on. */
function concurrencyFlag() {
  const flag = `--test-concurrency=${availableParallelism()}`;
  const isKnown = spawnSync(process.execPath, [flag, '-e', '0'], { stdio: 'ignore' }).status === 0;
  return isKnown ? [flag] : [];
}

/** The same on a developer's terminal and in CI: what colours, locale and debugging variables change would make tests differ. */
function testEnvironment() {
  const { env: outer } = process;
  const unwanted =
    /^(CI|CI_.*|CONTINUOUS_INTEGRATION|FORCE_COLOR|NO_COLOR|DEBUG|NODE_OPTIONS|NODE_ENV|NODE_TEST_CONTEXT|COLUMNS|LINES|GPT_LOOM_.*)$/;
  const kept = Object.entries(outer).filter(([name]) => !unwanted.test(name));
  return { ...Object.fromEntries(kept), TZ: 'UTC', LC_ALL: 'C.UTF-8' };
}

/** Whether the program ends with status 0; it prints where we do. */
function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: 'inherit' });
  if (error) throw error;
  return status === 0;
}
