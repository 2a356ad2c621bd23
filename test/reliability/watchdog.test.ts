// The watchdog's judgement, tick by tick, without threads or clocks.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Activity } from '../../src/parallel/control.js';
import { createStallCheck, type Stall } from '../../src/parallel/watchdog.js';

interface Worker {
  beats: number;
  activity: Activity;
}

/** Two workers, ticks of 100 ms, patience of 300 ms. */
function createScene(first: Activity, second: Activity) {
  const workers: Worker[] = [
    { beats: 0, activity: first },
    { beats: 0, activity: second },
  ];
  const pending = new Set([0, 1]);
  const signs = { beats: (rank: number) => workers[rank].beats, activity: (rank: number) => workers[rank].activity };
  const check = createStallCheck({ signs, pending, patienceMs: 300 }, 100);
  const ticks = (count: number): Stall | null => {
    for (let i = 0; i < count; i++) {
      const stall = check();
      if (stall !== null) return stall;
    }
    return null;
  };
  return { workers, pending, ticks };
}

test('watchdog: a worker without a sign of life for its patience is reported, one tick earlier it isn’t', () => {
  const { ticks } = createScene('wait', 'backward');
  assert.equal(ticks(3), null);
  assert.deepEqual(ticks(1), { rank: 1, activity: 'backward', stalledMs: 300 });
});

test('watchdog: any sign of life starts the patience anew', () => {
  const { workers, ticks } = createScene('wait', 'forward');
  for (let i = 0; i < 10; i++) {
    assert.equal(ticks(3), null);
    workers[1].beats++;
  }
  assert.equal(ticks(4)?.rank, 1);
});

test('watchdog: who waits at a barrier isn’t to blame while another works, and is when all wait', () => {
  const { workers, ticks } = createScene('wait', 'reduce');
  for (let i = 0; i < 10; i++) {
    assert.equal(ticks(1), null);
    workers[1].beats++;
  }
  workers[1].activity = 'wait';
  // The other has only just begun to wait.
  assert.equal(ticks(3), null);
  assert.deepEqual(ticks(1), { rank: 0, activity: 'wait', stalledMs: 1300 });
});

test('watchdog: a thread that hasn’t begun gets a minute to start', () => {
  const { ticks } = createScene('idle', 'wait');
  assert.equal(ticks(600), null);
  assert.deepEqual(ticks(1), { rank: 0, activity: 'idle', stalledMs: 60_000 });
});

test('watchdog: a worker that has finished is watched no longer', () => {
  const { pending, ticks } = createScene('forward', 'forward');
  pending.clear();
  assert.equal(ticks(100), null);
});
