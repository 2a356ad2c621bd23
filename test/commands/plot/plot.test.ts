// `gpt-loom plot` from the command line.

import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { METRICS_FILE, metricsLine } from '../../../src/trainer/metrics-lines.js';
import { runCli } from '../../helpers/cli.js';
import { temporaryFolder } from '../../helpers/run.js';
import { record } from '../../ui/recording.js';

/** A folder with two runs in it, `runs/a` and `runs/b`. */
function twoRuns(): string {
  const folder = temporaryFolder();
  for (const [name, steps] of [
    ['a', 220],
    ['b', 150],
  ] as const) {
    mkdirSync(join(folder, 'runs', name), { recursive: true });
    const text = record({ steps }).map(({ event }) => `${metricsLine(event)}\n`);
    writeFileSync(join(folder, 'runs', name, METRICS_FILE), text.join(''));
  }
  return folder;
}

test('plot: draws several runs to a file and on the terminal; a line that is being written does not matter', async () => {
  const cwd = twoRuns();
  appendFileSync(join(cwd, 'runs/a', METRICS_FILE), '{"step":221,"loss":1');
  const { exitCode, stdout, stderr } = await runCli(['plot', 'runs/a', 'runs/b'], { cwd });
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' });
  const svg = readFileSync(join(cwd, 'plot.svg'), 'utf8');
  assert.ok(svg.includes('>runs/a<') && svg.includes('>runs/b<'));
  assert.match(stdout, /\nruns\/a {3}220 .*\nruns\/b {3}150 .*\n\nwritten to plot\.svg\n$/);
  assert.ok(!stdout.includes('\u001b'));
});

test('plot: of one run the picture lies beside its metrics, and --json prints its figures', async () => {
  const cwd = twoRuns();
  const args = ['plot', '--set', 'training.save_dir=runs/b', '--json', '--lang', 'zh'];
  const { exitCode, stdout } = await runCli(args, { cwd });
  assert.equal(exitCode, 0);
  const { out, runs } = JSON.parse(stdout);
  assert.equal(out, 'runs/b/plot.svg');
  assert.ok(readFileSync(join(cwd, out), 'utf8').includes('学习率'));
  assert.deepEqual([runs.length, runs[0].run, runs[0].lastStep, runs[0].bestStep], [1, 'runs/b', 150, 100]);
});

const wrong: [what: string, args: string[], exitCode: number, message: string][] = [
  [
    'an unknown language',
    ['runs/a', '--lang', 'fr'],
    2,
    'ConfigError: --lang fr is not a language of the labels.\n  Use one of: en, zh.\n',
  ],
  [
    'a run without a step',
    ['empty.jsonl'],
    2,
    'DataError: empty.jsonl has no step in it yet.\n  Expected at least one finished step. Wait for it, or choose another run.\n',
  ],
  [
    'a place that cannot be written',
    ['runs/a', '--out', 'empty.jsonl/x.svg'],
    74,
    "FileError: empty.jsonl/x.svg can't be written: EEXIST: file already exists.\n" +
      '  Choose a place that can be written to: --out FILE.\n',
  ],
];

for (const [what, args, exitCode, message] of wrong) {
  test(`plot: ${what} is an error that says what to do`, async () => {
    const cwd = twoRuns();
    writeFileSync(join(cwd, 'empty.jsonl'), '');
    const result = await runCli(['plot', ...args], { cwd });
    assert.deepEqual([result.exitCode, result.stderr, result.stdout], [exitCode, message, '']);
  });
}
