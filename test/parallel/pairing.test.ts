import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pairing } from '../../src/parallel/pairing.js';
import type { StepPlan } from '../../src/parallel/plan.js';
import type { WorkerReport } from '../../src/parallel/tasks.js';

function planOf(microBatches: number, longestMicroBatch = 100): StepPlan {
  return { starts: new Int32Array(microBatches + 1), longestMicroBatch } as StepPlan;
}

const reports = (...times: number[]) =>
  times.map((ms) => ({ forwardMs: ms / 3, backwardMs: (2 * ms) / 3 }) as WorkerReport);

test('pairing: pairs are taken where every worker gets as many', () => {
  const decide = (microBatches: number, workers: number) => new Pairing(256).decide(planOf(microBatches), workers);
  assert.deepEqual(
    [1, 2, 3, 4].map((workers) => decide(4, workers)),
    [true, true, false, false],
  );
  assert.equal(decide(1, 1), false);
  assert.equal(decide(6, 2), false);
  assert.equal(decide(3, 1), false);
  assert.equal(decide(16, 4), true);
});

test('pairing: none where a micro-batch is larger than the engine takes in pairs, or it takes none', () => {
  assert.equal(new Pairing(256).decide(planOf(4, 256), 2), true);
  assert.equal(new Pairing(256).decide(planOf(4, 257), 2), false);
  assert.equal(new Pairing(0).decide(planOf(4), 2), false);
});

test('pairing: after three uneven steps in a row workers take single micro-batches for a while', () => {
  const pairing = new Pairing(256);
  for (const times of [reports(10, 20), reports(20, 10), reports(10, 11), reports(10, 20), reports(10, 20)]) {
    pairing.learn(times);
    assert.equal(pairing.decide(planOf(4), 2), true);
  }
  pairing.learn(reports(10, 20));
  let single = 0;
  while (!pairing.decide(planOf(4), 2)) single++;
  assert.equal(single, 100);
});
