// What ends a training from outside, and what must not: signals, and terminals and readers that go away.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { lockFolder } from '../../src/checkpoint/run-lock.js';
import { cliPath } from '../helpers/cli.js';
import { temporaryFolder } from '../helpers/run.js';
import { checkpointsOf, createProject, fingerprintOf, startFaulty, startTrain, trainToEnd } from './project.js';

let project: string;
let expected: Record<string, string>;

before(async () => {
  project = createProject();
  await trainToEnd(project, 'whole');
  expected = fingerprintOf(join(project, 'whole'));
});

const STEP = '"type":"step"';

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`signals: ${signal} saves the step it stops at, exits with ${code}, and the run can go on as if nothing had been`, async () => {
    const run = startTrain(project, signal);
    await run.seen(STEP, 11);
    run.child.kill(signal);
    const { exitCode, stdout } = await run.ended;
    assert.equal(exitCode, code);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const end = events.at(-1);
    assert.deepEqual([end.type, end.reason], ['end', 'stopped']);
    const state = JSON.parse(readFileSync(join(project, signal, 'last/training/state.json'), 'utf8'));
    assert.equal(state.step, end.step);
    await trainToEnd(project, signal, ['--resume']);
    assert.deepEqual(fingerprintOf(join(project, signal)), expected);
  });
}

test('signals: before the first step, SIGINT leaves checkpoint and record of an older run alone', async () => {
  await trainToEnd(project, 'older', ['--max-steps', '4']);
  const kept = () => ({
    checkpoints: checkpointsOf(join(project, 'older')),
    metrics: readFileSync(join(project, 'older/metrics.jsonl'), 'utf8'),
  });
  const before = kept();
  const run = startTrain(project, 'older');
  await run.seen('"type":"start"');
  run.child.kill('SIGINT');
  const { exitCode, stdout } = await run.ended;
  assert.equal(exitCode, 130);
  // The signal may come a step too late for what is claimed here; then there is nothing to see.
  if (!stdout.includes(STEP)) assert.deepEqual(kept(), before);
});

test('signals: one that comes when all steps are done has stopped nothing', async () => {
  const run = startTrain(project, 'late', ['--max-steps', '4']);
  await run.seen('"type":"step","step":4');
  run.child.kill('SIGTERM');
  const { exitCode, signal, stdout } = await run.ended;
  // On a busy machine it may come when nobody listens any more; then there is nothing to see.
  if (signal !== null) return;
  const end = JSON.parse(stdout.trim().split('\n').at(-1)!);
  assert.deepEqual([exitCode, end.type, end.reason], [0, 'end', 'done']);
});

test('signals: SIGHUP doesn’t end the run, nor does it change a bit', async () => {
  const run = startTrain(project, 'hangup');
  await run.seen(STEP, 5);
  run.child.kill('SIGHUP');
  assert.equal((await run.ended).exitCode, 0);
  assert.deepEqual(fingerprintOf(join(project, 'hangup')), expected);
});

test('signals: a run whose stdout and stderr lose their reader goes on to the same bits', async () => {
  const run = startTrain(project, 'unread');
  await run.seen(STEP, 5);
  run.child.stdout?.destroy();
  run.child.stderr?.destroy();
  assert.equal((await run.ended).exitCode, 0);
  assert.deepEqual(fingerprintOf(join(project, 'unread')), expected);
});

/** `script` of util-linux runs a command in a pseudo-terminal. Other systems have others, or none. */
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false;

for (const view of ['', '--plain']) {
  const name = view === '' ? 'dashboard' : 'plain lines';
  test(`signals: a run with ${name} goes on when its terminal is closed`, { skip: !hasScript }, async () => {
    const saveDir = `closed${view}`;
    // The pipe at 3 is inherited by everything below and ends when the last of it does.
    const args = `3>&3 "${process.execPath}" "${cliPath}" train --save-dir ${saveDir} ${view}`;
    const terminal = spawn('script', ['-qec', args, '/dev/null'], {
      cwd: project,
      stdio: ['pipe', 'pipe', 'ignore', 'pipe'],
      env: { ...process.env, TERM: 'xterm', CI: '' },
    });
    const allEnded = once(terminal.stdio[3] as NodeJS.ReadableStream, 'close');
    (terminal.stdio[3] as NodeJS.ReadableStream).resume();
    // The first frame, or the first line.
    await once(terminal.stdout!, 'data');
    terminal.kill('SIGKILL');
    await allEnded;
    assert.deepEqual(fingerprintOf(join(project, saveDir)), expected);
  });
}

/** The second worker hangs in native code in step 5, for ever. */
const HUNG = {
  run: { workers: 2, model: { n_layer: 1, n_embd: 32 } },
  fault: { kind: 'native', task: 'steps', step: 5, rank: 1, at: 'reduce' },
} as const;

test('signals: the second SIGINT ends the process at once, even with a worker that hangs in native code', async () => {
  const folder = temporaryFolder();
  const run = startFaulty(folder, { ...HUNG, patienceMs: 1_000_000 });
  await run.seen(STEP, 4);
  run.child.kill('SIGINT');
  // The signals of one kind that arrive together count as one: SIGTERM is another.
  run.child.kill('SIGTERM');
  const { signal, exitCode } = await run.ended;
  assert.ok(signal === 'SIGINT' || signal === 'SIGTERM', `${signal} ${exitCode}`);
  const lock = await lockFolder(folder);
  await lock.release();
});

test('workers: one that hangs in native code can’t be ended, so the run is saved and says so', async () => {
  const run = startFaulty(temporaryFolder(), { ...HUNG, patienceMs: 500 });
  const { signal, stderr } = await run.ended;
  assert.match(
    stderr,
    /^worker 1 failed in step 5: no sign of life for \d s \(reduce\)\.\n {2}The thread is in native code/,
  );
  assert.match(stderr, /Everything up to step 4 is saved: go on with --resume\.\n$/);
  // Nothing else ends a process with such a thread.
  assert.equal(signal, 'SIGKILL');
});

test('divergence: ends with exit code 3, advice, and checkpoints from before', async () => {
  const sets = ['lr=1e18', 'warmup_steps=0', 'grad_clip=0', 'weight_decay=0'].flatMap((set) => [
    '--set',
    `training.${set}`,
  ]);
  const { exitCode, stdout, stderr } = await startTrain(project, 'diverged', sets).ended;
  assert.equal(exitCode, 3);
  const losses = stdout
    .split('\n')
    .filter((line) => line.includes(STEP))
    .map((line) => JSON.parse(line).loss);
  assert.deepEqual(losses.slice(-3), ['NaN', 'NaN', 'NaN']);
  assert.match(
    stderr,
    /^NonFiniteError: Training diverged: loss or gradient was not finite in three steps in a row, the last of them step \d+\./,
  );
  assert.match(
    stderr,
    /Lower training\.lr \(now 1000000000000000000\), e\.g\. --set training\.lr=100000000000000000; or more training\.warmup_steps \(now 0\); or training\.grad_clip: 1/,
  );
  const metrics = readFileSync(join(project, 'diverged/metrics.jsonl'), 'utf8');
  assert.match(metrics, /"loss":"NaN"/);
});
