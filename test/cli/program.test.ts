// The command line as a whole: help, version, links, closed pipes, and what is loaded for --help.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildProgram } from '../../src/cli.js';
import { cliPath, runCli, writeProject } from '../helpers/cli.js';
import { repoRoot } from '../helpers/paths.js';

const folder = mkdtempSync(join(tmpdir(), 'gpt-loom-program-'));
before(() => writeProject(folder));
after(() => rmSync(folder, { recursive: true }));

const { version } = JSON.parse(readFileSync(join(repoRoot, 'package.json'), 'utf8'));

test('cli: importing it starts nothing, and every command describes itself', () => {
  const { commands } = buildProgram();
  assert.deepEqual(
    commands.map((command) => command.name()),
    ['train', 'watch', 'tune', 'bench', 'plot', 'infer', 'eval', 'tokenizer', 'data', 'doctor'],
  );
  for (const command of commands) assert.notEqual(command.description(), '', command.name());
});

test('cli: --version prints the version of package.json', async () => {
  assert.deepEqual(await runCli(['--version']), { exitCode: 0, stdout: `${version}\n`, stderr: '' });
});

test('cli: --help of the program and of a command ends with 0 and is on stdout', async () => {
  for (const args of [['--help'], ['train', '--help']]) {
    const { exitCode, stdout, stderr } = await runCli(args);
    assert.match(stdout, /^Usage: gpt-loom /);
    assert.equal(stderr, '');
    assert.equal(exitCode, 0);
  }
});

test('cli: --help loads no package but commander', async () => {
  // Loading valibot, ink or the tokenizers would take longer than the rest of the program together.
  const preload = `import { register } from 'node:module';
    register('data:text/javascript,' + encodeURIComponent(
      "import { writeSync } from 'node:fs'; export async function load(url, context, next) { writeSync(2, url + '\\\\n'); return next(url, context); }"));`;
  const { stderr } = await runCli(['--help'], {
    env: { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(preload)}` },
  });
  const packages = Array.from(stderr.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)/g), ([, name]) => name);
  assert.deepEqual([...new Set(packages)], ['commander']);
});

test('cli: runs through a link, as npx calls it', async () => {
  const link = join(folder, 'gpt-loom');
  symlinkSync(cliPath, link);
  const child = spawn(link, ['--version']);
  let stdout = '';
  for await (const text of child.stdout.setEncoding('utf8')) stdout += text;
  assert.equal(stdout, `${version}\n`);
});

test('cli: a reader that goes away ends the program quietly with 0', async () => {
  const args = ['tokenizer', 'inspect', '--json', '--tokenizer', join(folder, 'tokenizer.json')];
  const child = spawn(process.execPath, [cliPath, ...args]);
  child.stdout.destroy();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  // More than a pipe holds, so that writing it must fail.
  child.stdin.end('什么是词元？'.repeat(20_000));
  const exitCode = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(stderr, '');
  assert.equal(exitCode, 0);
});
