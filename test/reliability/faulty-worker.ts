// Entry point of a training thread that fails where and how the test says, and is the real worker otherwise.
// The test leaves its wish with worker_threads.setEnvironmentData; every thread that starts afterwards finds it.

import { execFileSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { getEnvironmentData } from 'node:worker_threads';
import { workerData } from 'piscina';
import { Control } from '../../src/parallel/control.js';
import type { WorkerTask } from '../../src/parallel/tasks.js';
import { createWorker } from '../../src/parallel/worker.js';
import { FAULT_KEY, type Fault, type FaultKind } from './fault.js';

const fault = getEnvironmentData(FAULT_KEY) as unknown as Fault;
const times = new Int32Array(fault.times);
let current: WorkerTask | null = null;
/** Of a series, the present one. */
let step = 0;
let met = 0;

const { setActivity, awaitStep } = Control.prototype;
Control.prototype.setActivity = function (rank, activity) {
  setActivity.call(this, rank, activity);
  if (activity === fault.at && ++met === (fault.nth ?? 1)) failIfDue();
};

Control.prototype.awaitStep = function (rank, done) {
  const isThere = awaitStep.call(this, rank, done);
  if (isThere && current?.kind === 'steps') begin(current.first + done);
  return isThere;
};

const sleep = Atomics.wait;
Atomics.wait = ((...args: Parameters<typeof sleep>) => {
  if (fault.at === 'asleep') failIfDue();
  return sleep(...args);
}) as typeof sleep;

const run = createWorker(workerData);

export default run.then((work) => (task: WorkerTask) => {
  current = task;
  if (task.kind !== 'steps') begin(0);
  work(task);
  current = null;
});

function begin(number: number): void {
  step = number;
  met = 0;
  if (fault.at === undefined) failIfDue();
}

function failIfDue(): void {
  if (current === null || current.kind !== fault.task) return;
  if (current.kind === 'steps' && step < (fault.step ?? 1)) return;
  if (fault.rank !== undefined && current.rank !== fault.rank) return;
  if (Atomics.sub(times, 0, 1) > 0) fail(fault.kind);
}

function fail(kind: FaultKind): void {
  if (kind === 'throw') throw new RangeError('a mistake somewhere');
  if (kind === 'exit') process.exit(7);
  if (kind === 'heap') for (const hoard: object[] = []; ; ) hoard.push(new Array(100_000).fill(hoard.length));
  if (kind === 'loop') for (;;);
  if (kind === 'segfault') {
    // What the system does to a process for a bad access, at the same instant and as little to be caught: the default action.
    process.kill(process.pid, 'SIGSEGV');
    for (;;); // The signal may take its time; nothing more happens in this thread.
  }
  // A native call that doesn't return: opening a pipe waits for its other end.
  const pipe = join(fault.folder, `pipe-${process.pid}-${Math.random()}`);
  execFileSync('mkfifo', [pipe]);
  openSync(pipe, 'r');
}
