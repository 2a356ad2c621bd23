// The course of a measurement, with a machine that is made up: time passes only while it measures.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Measurement } from '../../src/tune/measurement.js';
import { measureRounds, type Progress } from '../../src/tune/rounds.js';
import { type Grid, isSame, type Setting } from '../../src/tune/settings.js';
import { TOKENS } from './made-up.js';

const GRID: Grid = { batchSize: 16, present: { threads: 2, microBatch: 4 }, logical: 4, physical: 2 };

interface Options {
  readonly grid?: Grid;
  readonly budgetMs?: number;
  readonly msOf: (setting: Setting) => number;
  readonly fits?: (setting: Setting) => boolean;
  readonly cancelAfter?: number;
}

async function run({ grid = GRID, budgetMs = 60_000, msOf, fits = () => true, cancelAfter }: Options) {
  let now = 5000;
  let open = 0;
  let mostOpen = 0;
  const turns: string[] = [];
  const progress: Progress[] = [];
  const measurements = await measureRounds({
    grid,
    budgetMs,
    now: () => now,
    isCancelled: () => turns.length === cancelAfter,
    onProgress: (p) => progress.push(p),
    async open(setting) {
      if (!fits(setting)) return null;
      mostOpen = Math.max(mostOpen, ++open);
      now += 100;
      return {
        async visit() {
          turns.push(`${setting.threads}x${setting.microBatch}`);
          const ms = msOf(setting);
          now += ms + 20;
          return { ms, tokens: TOKENS, starved: 0 };
        },
        async close() {
          open--;
        },
      };
    },
  });
  return { measurements, turns, progress, elapsed: now - 5000, open, mostOpen };
}

function find(measurements: readonly Measurement[], threads: number, microBatch: number): Measurement {
  const found = measurements.find(({ setting }) => isSame(setting, { threads, microBatch }));
  assert.ok(found, `${threads}x${microBatch}`);
  return found;
}

/** Two cores: more threads help no more, and large micro-batches are a little faster. */
const twoCores = ({ threads, microBatch }: Setting) => (threads === 1 ? 800 : 420) - microBatch;

test('rounds: there and back again, then the other sizes of the numbers of threads that may win', async () => {
  const { turns } = await run({ msOf: twoCores });
  assert.deepEqual(turns.slice(0, 8), ['2x4', '1x4', '3x4', '4x4', '4x4', '3x4', '1x4', '2x4']);
  const third = turns.slice(8, 19);
  assert.deepEqual(third.slice(0, 4), ['2x4', '1x4', '3x4', '4x4']);
  // Four threads can't use sizes above 4 of 16, three neither.
  assert.deepEqual(third.slice(4).sort(), ['2x1', '2x2', '2x8', '3x1', '3x2', '4x1', '4x2'].sort());
  assert.ok(!turns.includes('1x8'), 'one thread can’t win');
});

test('rounds: ends within the budget, and before it when everything was measured often enough', async () => {
  const long = await run({ msOf: twoCores, budgetMs: 20_000 });
  assert.ok(long.elapsed <= 20_000 && long.elapsed > 18_500, String(long.elapsed));
  const short = await run({ msOf: () => 20, budgetMs: 60_000 });
  assert.ok(short.elapsed < 30_000, String(short.elapsed));
  for (const { visits } of short.measurements) assert.equal(visits.length, 16);
});

test('rounds: hopeless settings leave after two rounds, at half the speed after one; one thread and the present one stay', async () => {
  const slow = ({ threads }: Setting) => ({ 1: 1000, 2: 400, 3: 500, 4: 900 })[threads] ?? 0;
  const { measurements } = await run({ msOf: slow, budgetMs: 30_000 });
  assert.equal(find(measurements, 4, 4).visits.length, 1);
  assert.equal(find(measurements, 4, 4).state, 'dropped');
  assert.equal(find(measurements, 3, 4).visits.length, 2);
  assert.equal(find(measurements, 3, 4).state, 'dropped');
  assert.equal(find(measurements, 1, 4).state, 'measuring');
  assert.ok(find(measurements, 1, 4).visits.length > 5);
  const present = { threads: 4, microBatch: 4 };
  const { measurements: again } = await run({ grid: { ...GRID, present }, msOf: slow, budgetMs: 30_000 });
  assert.ok(find(again, 4, 4).visits.length > 5);
});

test('rounds: closes everything it opened, what left early at once', async () => {
  const { open, mostOpen } = await run({ msOf: ({ threads }) => (threads === 2 ? 100 : 1000), budgetMs: 20_000 });
  assert.equal(open, 0);
  // Two, one, three, four threads; three and four go after the first round, and three sizes come for two threads.
  assert.equal(mostOpen, 5);
});

test('rounds: a setting without memory is passed over and says so', async () => {
  const { measurements, turns } = await run({ msOf: twoCores, fits: ({ threads }) => threads < 4, budgetMs: 15_000 });
  assert.equal(find(measurements, 4, 4).state, 'too-large');
  assert.ok(!turns.includes('4x4'));
});

test('rounds: steps that are too slow for the budget give what there was time for', async () => {
  const { measurements, elapsed } = await run({ msOf: () => 9000, budgetMs: 10_000 });
  assert.deepEqual(
    measurements.map(({ visits }) => visits.length),
    [0, 1, 0, 0],
  );
  assert.ok(elapsed < 10_000);
});

test('rounds: one setting is measured, however little time is left', async () => {
  for (const budgetMs of [1, -500]) {
    const { turns, open } = await run({ budgetMs, msOf: twoCores });
    assert.deepEqual([turns, open], [['2x4'], 0]);
  }
});

test('rounds: a cancelled measurement ends after the present turn and closes everything', async () => {
  const { turns, open } = await run({ msOf: twoCores, cancelAfter: 3 });
  assert.equal(turns.length, 3);
  assert.equal(open, 0);
});

test('rounds: progress tells what is measured now, and at the end that nothing is', async () => {
  const { progress, turns } = await run({ msOf: twoCores, budgetMs: 10_000 });
  assert.equal(progress.length, turns.length + 1);
  assert.deepEqual(progress[0].current, { threads: 2, microBatch: 4 });
  assert.equal(progress[0].elapsedMs, 0);
  assert.equal(progress.at(-1)?.current, null);
  assert.equal(progress[4].round, 2);
});
