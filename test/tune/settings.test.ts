import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstSettings, type Grid, otherSizes, type Setting } from '../../src/tune/settings.js';

const names = (settings: readonly Setting[]) =>
  settings.map(({ threads, microBatch }) => `${threads}x${microBatch}`).join(' ');

const grid = (logical: number, physical: number, rest: Partial<Grid> = {}): Grid => ({
  batchSize: 16,
  present: { threads: physical, microBatch: 4 },
  logical,
  physical,
  ...rest,
});

test('settings: each number of threads up to the logical cores, the present setting first', () => {
  assert.equal(names(firstSettings(grid(4, 2))), '2x4 1x4 3x4 4x4');
});

test('settings: more threads than micro-batches get a smaller size, the present ones as well', () => {
  assert.equal(names(firstSettings(grid(8, 4))), '4x4 3x4 5x2 2x4 6x2 1x4 7x2 8x2');
  assert.equal(names(firstSettings(grid(16, 16))), '16x4 16x1 12x1 8x2 7x2 6x2 5x2 4x4 3x4 2x4 1x4');
});

test('settings: a configuration that asks for more threads than there are is measured too', () => {
  const settings = firstSettings(grid(2, 2, { present: { threads: 6, microBatch: 2 } }));
  assert.equal(names(settings), '6x2 2x2 1x2');
});

test('settings: the other sizes divide the batch, give each thread a micro-batch, and the nearest come first', () => {
  assert.equal(names(otherSizes(2, grid(2, 2))), '2x2 2x8 2x1');
  assert.equal(names(otherSizes(1, grid(2, 2))), '1x2 1x8 1x1 1x16');
  assert.equal(
    names(otherSizes(3, grid(4, 4, { batchSize: 12, present: { threads: 4, microBatch: 3 } }))),
    '3x4 3x2 3x1',
  );
});

test('settings: of many sizes the six nearest to the present one are tried', () => {
  const many = grid(2, 2, { batchSize: 720, present: { threads: 2, microBatch: 12 } });
  assert.equal(names(otherSizes(2, many)), '2x10 2x15 2x9 2x16 2x8');
});
