import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { confidenceOf, isBelow } from '../../src/sampling/confidence.js';

describe('confidence', () => {
  it('confidence: the geometric mean and the lowest of the probabilities', () => {
    const { mean, min } = confidenceOf([0.5, 0.125])!;
    assert.ok(Math.abs(mean - 0.25) < 1e-12); // sqrt(1/2 * 1/8)
    assert.equal(min, 0.125);
  });

  it('confidence: a long sure answer stays sure, an impossible token makes it 0, no token gives none', () => {
    assert.ok(Math.abs(confidenceOf(Array(5000).fill(0.9))!.mean - 0.9) < 1e-9);
    assert.deepEqual(confidenceOf([1, 0]), { mean: 0, min: 0 });
    assert.equal(confidenceOf([]), null);
  });

  it('confidence: 0 lets everything pass; above it what equals the threshold passes and an empty answer does not', () => {
    assert.equal(isBelow({ mean: 0, min: 0 }, 0), false);
    assert.equal(isBelow(null, 0), false);
    assert.equal(isBelow({ mean: 0.7, min: 0 }, 0.7), false);
    assert.equal(isBelow({ mean: 0.69, min: 0.69 }, 0.7), true);
    assert.equal(isBelow(null, 0.01), true);
  });
});
