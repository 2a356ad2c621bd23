import assert from 'node:assert/strict';
import { test } from 'node:test';
import { estimate, median, spread } from '../../src/tune/statistics.js';

test('statistics: the median is the middle value, or the mean of the two in the middle', () => {
  assert.equal(median([5, 1, 9]), 5);
  assert.equal(median([4, 1, 10, 2]), 3);
  assert.ok(Number.isNaN(median([])));
});

test('statistics: the spread is 1.4826 times the median distance from the median, and one outlier does not move it', () => {
  // Distances from 10: 2, 1, 0, 1, 3; their median is 1.
  assert.equal(spread([8, 9, 10, 11, 13]), 1.4826);
  assert.equal(spread([8, 9, 10, 11, 1300]), 1.4826);
});

test('statistics: an estimate’s error is sqrt(pi / 2) spreads by the root of the number of values', () => {
  const { value, error } = estimate([8, 9, 10, 11]);
  // Median 9.5, distances 1.5, 0.5, 0.5, 1.5, their median 1; two is the root of four.
  assert.equal(value, 9.5);
  assert.ok(Math.abs(error - (1.2533141 * 1.4826) / 2) < 1e-6, String(error));
});

test('statistics: of two values nothing can be told', () => {
  assert.deepEqual(estimate([1, 3]), { value: 2, error: Number.POSITIVE_INFINITY });
});
