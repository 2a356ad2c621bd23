import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDataOrder } from '../../src/data/order.js';

const OPTIONS = { samples: 10, batchSize: 4, seed: 42, shuffle: true };

function firstSamples(count: number, options = OPTIONS): number[] {
  const order = createDataOrder(options);
  const steps = Math.ceil(count / options.batchSize);
  return Array.from({ length: steps }, (_, i) => [...order.batch(i + 1)])
    .flat()
    .slice(0, count);
}

test('order: every epoch is a permutation of all samples, across the borders of batches', () => {
  const seen = firstSamples(30);
  for (let epoch = 0; epoch < 3; epoch++) {
    const samples = seen.slice(epoch * 10, epoch * 10 + 10).sort((a, b) => a - b);
    assert.deepEqual(samples, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  }
});

test('order: epochs differ from each other, and seeds too', () => {
  const seen = firstSamples(20);
  assert.notDeepEqual(seen.slice(0, 10), seen.slice(10));
  assert.notDeepEqual(seen, firstSamples(20, { ...OPTIONS, seed: 43 }));
});

test('order: any step can be asked for first', () => {
  const inOrder = createDataOrder(OPTIONS);
  const batches = [1, 2, 3, 4, 5, 6, 7].map((step) => [...inOrder.batch(step)]);
  for (const step of [6, 2, 7, 1]) assert.deepEqual([...createDataOrder(OPTIONS).batch(step)], batches[step - 1]);
});

test('order: without shuffling it is the order of the file', () => {
  assert.deepEqual(firstSamples(12, { ...OPTIONS, shuffle: false }), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
});

test('order: the epoch of a step is that of its last sample', () => {
  const { epoch } = createDataOrder(OPTIONS);
  assert.deepEqual([1, 2, 3, 5, 6].map(epoch), [1, 1, 2, 2, 3]);
});
