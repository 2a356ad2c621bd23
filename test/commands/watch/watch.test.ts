// `gpt-loom watch` without a terminal: the lines that `train` prints, out of the file alone.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockFolder } from '../../../src/checkpoint/run-lock.js';
import type { StartEvent, TrainEvent } from '../../../src/trainer/events.js';
import { MetricsFile } from '../../../src/trainer/metrics.js';
import { METRICS_FILE, metricsLine } from '../../../src/trainer/metrics-lines.js';
import { createPlainPrinter } from '../../../src/ui/plain.js';
import { cliPath, runCli } from '../../helpers/cli.js';
import { temporaryFolder } from '../../helpers/run.js';
import { record, START } from '../../ui/recording.js';

const ENDED = record({ maxSteps: 40, hasEnd: true }).map(({ event }) => event);
const textOf = (events: readonly TrainEvent[]) => events.map((event) => `${metricsLine(event)}\n`).join('');

function folderWith(events: readonly TrainEvent[]): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, METRICS_FILE), textOf(events));
  return folder;
}

test('watch: a run that is over is told to its end, 80 columns wide', async () => {
  const { exitCode, stdout, stderr } = await runCli(['watch', folderWith(ENDED)]);
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' });
  let expected = '';
  const print = createPlainPrinter({
    write: (text) => {
      expected += text;
    },
  });
  for (const event of ENDED) print(event);
  assert.equal(stdout, expected);
  assert.ok(stdout.split('\n').every((line) => line.length <= 80));
});

test('watch: the folder of the configuration is the default', async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'runs'));
  writeFileSync(join(folder, 'runs', METRICS_FILE), textOf(ENDED));
  const { exitCode, stdout } = await runCli(['watch', '--set', 'training.save_dir=runs'], { cwd: folder });
  assert.equal(exitCode, 0);
  assert.match(stdout, /\nDone: 40 steps\n/);
});

test('watch: a folder without a run is an error that says what to do', async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'best'));
  writeFileSync(join(folder, METRICS_FILE), textOf(ENDED));
  const wrong = await runCli(['watch', join(folder, 'best')]);
  assert.deepEqual(
    [wrong.exitCode, wrong.stderr],
    [
      2,
      `DataError: ${folder}/best has no metrics.jsonl in it.\n  Expected a folder that a training saved to: metrics.jsonl is ` +
        `its record. The folder above has one: use ${folder}.\n`,
    ],
  );
  const missing = await runCli(['watch', 'nowhere']);
  assert.deepEqual(
    [missing.exitCode, missing.stderr],
    [
      2,
      'DataError: There is no folder nowhere.\n  Expected a folder that a training saved to: metrics.jsonl is its record. ' +
        'Train first (gpt-loom train), or name the save folder of a run.\n',
    ],
  );
});

test('watch: follows a run that grows, is stopped, and is resumed from an earlier step', async () => {
  const events = ENDED.slice(0, 26);
  const folder = folderWith(events.slice(0, 11));
  const path = join(folder, METRICS_FILE);
  const child = startWatch(folder);
  let stdout = '';
  let waiting: { text: string; resolve: () => void } | null = null;
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
    if (waiting !== null && stdout.includes(waiting.text)) waiting.resolve();
  });
  const seen = async (text: string) => {
    if (stdout.includes(text)) return;
    await new Promise<void>((resolve) => {
      waiting = { text, resolve };
    });
  };
  const ended = new Promise((resolve) => child.on('close', resolve));

  await seen('step 10/40');
  const rest = textOf(events.slice(11));
  appendFileSync(path, rest.slice(0, -30));
  await seen('step 20/40');
  appendFileSync(path, rest.slice(-30));

  const resumed: StartEvent = { ...START, maxSteps: 40, startStep: 15, workers: 1 };
  const file = MetricsFile.open(folder, 15);
  for (const event of [resumed, ...ENDED.slice(16)]) file.write(event);
  file.close();
  assert.equal(await ended, 0);
  const steps = Array.from(stdout.matchAll(/^step +(\d+)\/40/gm), ([, step]) => Number(step));
  // The printer shows its first step, then every tenth.
  assert.deepEqual(steps, [1, 10, 20, 16, 20, 30, 40]);
  assert.match(stdout, /\nsteps {4}16 to 40, /);
  assert.match(stdout, /\nDone: 40 steps\n/);
});

/** Should it say nothing of what is waited for, the test fails instead of waiting for ever. */
function startWatch(folder: string) {
  return spawn(process.execPath, [cliPath, 'watch', folder], { timeout: 60_000, killSignal: 'SIGKILL' });
}

/** A run that has said nothing for five minutes. */
function silentFolder(): string {
  const folder = folderWith(ENDED.slice(0, 12));
  const longAgo = new Date(Date.now() - 5 * 60_000);
  utimesSync(join(folder, METRICS_FILE), longAgo, longAgo);
  return folder;
}

test('watch: of a run that was killed it says so, and ends with the exit code of a failure', async () => {
  const folder = silentFolder();
  const before = await runCli(['watch', folder]);
  assert.match(before.stdout, /\nwarning {2}the run was killed, or goes on on another machine\n$/);
  assert.equal(before.exitCode, 1);
  mkdirSync(join(folder, 'last'));
  const { stdout } = await runCli(['watch', folder]);
  assert.match(stdout, / on another machine; train --resume\n {9}continues it\n$/);
});

test('watch: of a run that is there and says nothing it says that it is paused', async () => {
  const folder = silentFolder();
  const lock = await lockFolder(folder);
  const child = startWatch(folder);
  let stdout = '';
  for await (const text of child.stdout.setEncoding('utf8')) {
    stdout += text;
    if (stdout.includes('paused')) child.kill('SIGTERM');
  }
  assert.match(stdout, /\nwarning {2}nothing was written for 5:\d\d: the run is paused, or busy\n$/);
  assert.equal(
    await new Promise((resolve) => (child.exitCode === null ? child.on('close', resolve) : resolve(child.exitCode))),
    143,
  );
  await lock.release();
});

test('watch: an empty record is waited for, with a word', async () => {
  const folder = folderWith([]);
  const child = startWatch(folder);
  const ended = new Promise((resolve) => child.on('close', resolve));
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said += text;
    child.kill('SIGTERM');
  });
  assert.equal(await ended, 143);
  assert.equal(said, `waiting for a run to begin in ${folder} …\n`);
});
