// Workers that throw, die, run out of memory or hang, wherever they are in a task: the run goes on with the same bits.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { loadTraining } from '../../src/checkpoint/load.js';
import type { TrainEvent } from '../../src/trainer/events.js';
import { runToEnd, temporaryFolder, testInputs } from '../helpers/run.js';
import type { Fault } from './fault.js';
import { withFault } from './faults.js';
import { canResume, checkpointsOf, startFaulty } from './project.js';

const OPTIONS = {
  workers: 2,
  model: { n_layer: 1, n_embd: 32, dropout: 0.1 },
  training: { max_steps: 12, eval_interval: 4, save_interval: 5 },
};
/** Long for a worker that has a few milliseconds of work, short for a test. */
const PATIENCE_MS = 1500;

const isWindows = process.platform === 'win32';

let expected: Record<string, string>;

before(async () => {
  const folder = temporaryFolder();
  await runToEnd(testInputs(folder, OPTIONS));
  expected = checkpointsOf(folder);
});

type Case = [fault: Omit<Fault, 'times' | 'folder'>, warning: RegExp];

const AGAIN = 'done again';
const REPLAYED = 'computed again since the last copy';

const CASES: Case[] = [
  [{ kind: 'throw', task: 'refresh' }, /failed in task refresh: a mistake somewhere/],
  // Whoever comes first: another may find every micro-batch taken in all of a run of twelve short steps.
  [{ kind: 'throw', task: 'steps', step: 3, at: 'forward' }, /worker [01] failed in step 3: a mistake somewhere/],
  [{ kind: 'exit', task: 'steps', step: 7, at: 'backward' }, /failed in step 7: worker exited with code: 7/],
  [{ kind: 'heap', task: 'steps', step: 7, at: 'forward' }, /failed in step 7: .*memory/],
  [{ kind: 'loop', task: 'steps', step: 7, at: 'backward' }, /failed in step 7: no sign of life for 2 s \(backward\)/],
  [{ kind: 'exit', task: 'steps', step: 6, at: 'asleep' }, /failed in step \d+: worker exited/],
  [{ kind: 'exit', task: 'steps', step: 7, rank: 0, at: 'reduce' }, /worker 0 failed in step 7/],
  [{ kind: 'exit', task: 'steps', step: 4, rank: 0, at: 'update', nth: 2 }, /worker 0 failed in step 4: worker exited/],
  [{ kind: 'throw', task: 'steps', step: 9, rank: 1, at: 'update', nth: 2 }, /worker 1 failed in step 9: a mistake/],
  [
    { kind: 'loop', task: 'steps', step: 9, rank: 1, at: 'update', nth: 2 },
    /worker 1 failed in step 9: no sign of life/,
  ],
  [{ kind: 'exit', task: 'evaluate', at: 'evaluate' }, /failed in task evaluate: worker exited/],
];

for (const [fault, warning] of CASES) {
  const where = `${fault.task}${fault.step ? ` ${fault.step}` : ''}${fault.at ? `, ${fault.at}` : ''}`;
  test(`workers: ${fault.kind} (${where}) is survived with the same bits, and named`, async () => {
    const folder = temporaryFolder();
    // Filling a heap may take a busy machine longer than the watchdog waits.
    const patienceMs = fault.kind === 'loop' ? PATIENCE_MS : 60_000;
    const events = await runToEnd(withFault(testInputs(folder, OPTIONS), fault, { patienceMs }));
    const warnings = warningsOf(events);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], warning);
    // The second thing a worker does under the name of update comes after the weights were changed.
    assert.ok(warnings[0].includes(fault.nth === 2 ? REPLAYED : AGAIN), warnings[0]);
    assert.deepEqual(checkpointsOf(folder), expected);
    assert.deepEqual(
      stepsOf(events),
      Array.from({ length: 12 }, (_, i) => i + 1),
    );
  });
}

test('workers: one that dies before it changes its weights while another changes them is replayed to the same bits', async () => {
  // Which of the two gets there first differs from run to run; with the other's update begun the step can't be done again.
  const folder = temporaryFolder();
  const fault = { kind: 'exit', task: 'steps', step: 8, rank: 1, at: 'update' } as const;
  await runToEnd(withFault(testInputs(folder, OPTIONS), fault));
  assert.deepEqual(checkpointsOf(folder), expected);
});

test('workers: one that dies behind the last step of a series takes nothing of what is due then with it', async () => {
  const folder = temporaryFolder();
  const fault = { kind: 'exit', task: 'steps', step: 4, rank: 1, at: 'idle' } as const;
  const events = await runToEnd(withFault(testInputs(folder, OPTIONS), fault));
  assert.equal(warningsOf(events).length, 1);
  const evaluations = events.flatMap((event) => (event.type === 'evaluation' ? [event.step] : []));
  assert.deepEqual([stepsOf(events).length, evaluations], [12, [4, 8, 12]]);
  assert.deepEqual(checkpointsOf(folder), expected);
});

test('workers: three failures in a row are survived', async () => {
  const folder = temporaryFolder();
  const fault = { kind: 'exit', task: 'steps', step: 8, rank: 0, at: 'update', nth: 2 } as const;
  const events = await runToEnd(withFault(testInputs(folder, OPTIONS), fault, { count: 3 }));
  assert.equal(warningsOf(events).length, 3);
  assert.deepEqual(checkpointsOf(folder), expected);
});

test('workers: a segfault ends the process, and the last checkpoint resumes to the same bits', {
  skip: isWindows,
}, async () => {
  for (const at of ['forward', 'update'] as const) {
    const folder = temporaryFolder();
    // In step 7: the checkpoint of step 5 is written, or being written.
    const fault = { kind: 'segfault', task: 'steps', step: 7, at } as const;
    const { signal, exitCode } = await startFaulty(folder, { run: OPTIONS, fault }).ended;
    assert.deepEqual([signal, exitCode], ['SIGSEGV', null]);
    await runToEnd(testInputs(folder, { ...OPTIONS, resume: canResume(folder) }));
    assert.deepEqual(checkpointsOf(folder), expected);
  }
});

test('workers: the fourth failure in a row ends the run with everything saved, and it can be resumed', async () => {
  for (const [nth, savedStep] of [
    [1, 7],
    [2, 5],
  ] as const) {
    const folder = temporaryFolder();
    const at = nth === 1 ? 'forward' : 'update';
    const fault = { kind: 'throw', task: 'steps', step: 8, at, nth } as const;
    await assert.rejects(runToEnd(withFault(testInputs(folder, OPTIONS), fault, { count: 1000 })), (error: Error) => {
      assert.equal(error.name, 'WorkerError');
      assert.match(
        error.message,
        /^worker \d failed in step 8: a mistake somewhere\.\n {2}Its threads were replaced 3 times/,
      );
      assert.ok(error.message.endsWith(`\n  Everything up to step ${savedStep} is saved: go on with --resume.`));
      return true;
    });
    assert.equal((await loadTraining(join(folder, 'last'))).state.step, savedStep);
    await runToEnd(testInputs(folder, { ...OPTIONS, resume: true }));
    assert.deepEqual(checkpointsOf(folder), expected);
  }
});

function warningsOf(events: readonly TrainEvent[]): string[] {
  return events.flatMap((event) => (event.type === 'notice' && event.level === 'warning' ? [event.message] : []));
}

function stepsOf(events: readonly TrainEvent[]): number[] {
  return events.flatMap((event) => (event.type === 'step' ? [event.step] : []));
}
