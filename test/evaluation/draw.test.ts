import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { drawItems } from '../../src/evaluation/draw.js';

const items = Array.from({ length: 20 }, (_, i) => i);

describe('draw', () => {
  it('draw: as many distinct items as asked for, in their order, the same for the same seed', () => {
    const drawn = drawItems(items, 7, 1);
    assert.equal(new Set(drawn).size, 7);
    assert.deepEqual(
      drawn,
      [...drawn].sort((a, b) => a - b),
    );
    assert.deepEqual(drawItems(items, 7, 1), drawn);
    assert.notDeepEqual(drawItems(items, 7, 2), drawn);
  });

  it('draw: all items when there are no more', () => {
    assert.deepEqual(drawItems(items, 20, 1), items);
    assert.deepEqual(drawItems(items, 99, 1), items);
  });

  it('draw: every item is drawn about equally often', () => {
    const counts = new Array<number>(20).fill(0);
    for (let seed = 0; seed < 1000; seed++) for (const item of drawItems(items, 5, seed)) counts[item]++;
    // 250 each; the standard deviation is sqrt(1000 * 0.25 * 0.75) = 14, five of them are 69.
    for (const count of counts) assert.ok(Math.abs(count - 250) < 69, String(counts));
  });
});
