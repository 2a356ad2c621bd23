// Following a metrics file: as it grows, is replaced, is cut off in the middle of a line.

import assert from 'node:assert/strict';
import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RunClock } from '../../../src/commands/watch/clock.js';
import { joinProcesses, lastProcess } from '../../../src/commands/watch/history.js';
import { MetricsTail } from '../../../src/commands/watch/tail.js';
import type { StartEvent, TrainEvent } from '../../../src/trainer/events.js';
import { MetricsFile } from '../../../src/trainer/metrics.js';
import { METRICS_FILE, metricsLine } from '../../../src/trainer/metrics-lines.js';
import { temporaryFolder } from '../../helpers/run.js';
import { record, START } from '../../ui/recording.js';

const RECORDING = record({ steps: 130 }).map(({ event }) => event);
const lineOf = (event: TrainEvent) => `${metricsLine(event)}\n`;
const textOf = (events: readonly TrainEvent[]) => events.map(lineOf).join('');
const stepsOf = (events: readonly TrainEvent[]) => events.flatMap((e) => (e.type === 'step' ? [e.step] : []));

function tailOf(text: string) {
  const path = join(temporaryFolder(), METRICS_FILE);
  writeFileSync(path, text);
  const tail = new MetricsTail(path);
  return { path, tail };
}

test('tail: first all there is, then what is added, a line only when its end is there', () => {
  const { path, tail } = tailOf(textOf(RECORDING.slice(0, 3)));
  const first = tail.poll();
  assert.deepEqual([first?.isWhole, first?.events.map(({ type }) => type)], [true, ['start', 'step', 'step']]);
  assert.equal(tail.poll(), null);

  const [third, fourth] = RECORDING.slice(3, 5).map(lineOf);
  appendFileSync(path, third + fourth.slice(0, 40));
  assert.deepEqual(stepsOf(tail.poll()?.events ?? []), [3]);
  assert.equal(tail.poll(), null);
  appendFileSync(path, fourth.slice(40));
  const last = tail.poll();
  assert.deepEqual([last?.isWhole, stepsOf(last?.events ?? [])], [false, [4]]);
  tail.close();
});

test('tail: a character that was cut in two comes out whole', () => {
  const { path, tail } = tailOf(textOf(RECORDING.slice(0, 2)));
  tail.poll();
  const bytes = Buffer.from(lineOf({ type: 'notice', level: 'info', step: 1, message: '慢' }));
  const middle = bytes.indexOf(Buffer.from('慢')) + 1;
  appendFileSync(path, bytes.subarray(0, middle));
  assert.equal(tail.poll(), null);
  appendFileSync(path, bytes.subarray(middle));
  assert.deepEqual(tail.poll()?.events, [{ type: 'notice', level: 'info', step: 1, message: '慢' }]);
  tail.close();
});

test('tail: a file in the place of the old one is read from its beginning', () => {
  const { path, tail } = tailOf(textOf(RECORDING.slice(0, 60)));
  tail.poll();
  // Longer than the old one, so that only its identity tells.
  writeFileSync(`${path}.new`, textOf(RECORDING.slice(0, 90)));
  renameSync(`${path}.new`, path);
  const batch = tail.poll();
  assert.deepEqual([batch?.isWhole, batch?.events.length], [true, 90]);
  tail.close();
});

test('tail: a file that was emptied and written anew is read from its beginning', () => {
  const { path, tail } = tailOf(textOf(RECORDING.slice(0, 60)));
  tail.poll();
  truncateSync(path);
  appendFileSync(path, textOf(RECORDING.slice(0, 2)));
  const batch = tail.poll();
  assert.deepEqual([batch?.isWhole, stepsOf(batch?.events ?? [])], [true, [1]]);
  tail.close();
});

test('tail: an empty file is waited for, and then read as a whole', () => {
  const { path, tail } = tailOf('');
  assert.equal(tail.poll(), null);
  assert.equal(tail.poll(), null);
  appendFileSync(path, textOf(RECORDING.slice(0, 2)));
  const batch = tail.poll();
  assert.deepEqual([batch?.isWhole, stepsOf(batch?.events ?? [])], [true, [1]]);
  tail.close();
});

test('tail: a file that is gone is waited for', () => {
  const { path, tail } = tailOf(textOf(RECORDING.slice(0, 2)));
  tail.poll();
  rmSync(path);
  assert.equal(tail.poll(), null);
  writeFileSync(path, textOf(RECORDING.slice(0, 3)));
  assert.deepEqual(stepsOf(tail.poll()?.events ?? []), [1, 2]);
  tail.close();
});

test('tail: sees a run that resumes as a whole, with the line that tells of it', () => {
  const folder = temporaryFolder();
  write(folder, RECORDING);
  const tail = new MetricsTail(join(folder, METRICS_FILE));
  tail.poll();
  const resumed: StartEvent = { ...START, startStep: 100, workers: 1 };
  const file = MetricsFile.open(folder, 100);
  assert.equal(tail.poll(), null, 'the old file stays until there is something to tell');
  file.write(resumed);
  const batch = tail.poll();
  assert.equal(batch?.isWhole, true);
  assert.deepEqual(batch?.events.at(-1), resumed);
  assert.equal(stepsOf(batch?.events ?? []).at(-1), 100);
  file.close();
  tail.close();
});

const END: TrainEvent = {
  type: 'end',
  reason: 'stopped',
  step: 130,
  trainLoss: 1,
  bestEvalLoss: 1,
  lastEvalLoss: 1,
  elapsedMs: 1,
  medianStepMs: 1,
  tokensPerSec: 1,
};

test('history: several processes become one run that starts where the first did and is what the last one made of it', () => {
  const resumed: StartEvent = { ...START, startStep: 130, workers: 1, maxSteps: 3000, bestEvalLoss: 2 };
  const events = [...RECORDING, END, resumed, ...RECORDING.slice(-1)];
  const joined = joinProcesses(events, 'test');
  assert.deepEqual(joined[0], { ...resumed, startStep: 0, bestEvalLoss: null });
  assert.deepEqual(joined.slice(1, RECORDING.length), RECORDING.slice(1));
  assert.deepEqual(joined.slice(RECORDING.length), [
    { type: 'notice', level: 'info', step: 130, message: 'resumed after step 130, 1 worker' },
    ...RECORDING.slice(-1),
  ]);
  assert.deepEqual(lastProcess(events), [resumed, ...RECORDING.slice(-1)]);
});

test('history: the end of the last process stays', () => {
  assert.equal(joinProcesses([...RECORDING, END], 'test').at(-1), END);
});

test('history: a record without a start is an error, as the file of another program is', () => {
  assert.throws(() => joinProcesses([], 'test'), /test doesn't tell what run it is of/);
  assert.throws(() => joinProcesses(RECORDING.slice(1), 'runs/metrics.jsonl'), {
    name: 'DataError',
    message:
      'runs/metrics.jsonl doesn\'t tell what run it is of.\n  Expected a first line {"run": ...}, as `gpt-loom train` ' +
      'writes it. If it has steps, gpt-loom plot can draw them.',
  });
});

test('clock: tells the past by the time that training took, then goes on with the wall', () => {
  let wall = 70_000;
  const clock = new RunClock(() => wall);
  const [start, step] = RECORDING;
  assert.ok(step.type === 'step');
  clock.tell(start);
  clock.tell({ ...step, stepMs: 60 });
  clock.tell({ type: 'evaluation', step: 1, evalLoss: 1, bestEvalLoss: 1, isBest: true, evalMs: 300 });
  wall += 5000;
  assert.equal(clock.now(), 360);
  clock.goLive();
  wall += 40;
  assert.equal(clock.now(), 400);
  clock.stop();
  wall += 5000;
  assert.equal(clock.now(), 400);
});

function write(folder: string, events: readonly TrainEvent[]): void {
  const file = MetricsFile.open(folder, 0);
  for (const event of events) file.write(event);
  file.close();
}
