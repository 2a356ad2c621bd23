import assert from 'node:assert/strict';
import { totalmem } from 'node:os';
import { test } from 'node:test';
import { loadAddon } from '../../src/addon/addon.js';
import { createArena } from '../../src/parallel/arena.js';

test('arena: may be larger than 4 GiB', { skip: totalmem() < 2 ** 33 && 'this machine has less than 8 GiB' }, () => {
  // Nothing of it is touched but the ends, so that it takes hardly any memory.
  const flatLength = 2 ** 28;
  const arena = createArena({ flatLength, slots: 2, packedLength: 64, normBlocks: 8, losses: 3 }, loadAddon());
  assert.ok(arena.description.buffer.byteLength > 5 * 4 * flatLength);
  for (const [i, array] of [arena.weights, arena.m, arena.v, arena.packed, arena.squares, arena.losses].entries()) {
    array[array.length - 1] = i + 1;
    assert.equal((array.byteOffset - arena.description.base) % 64, 0);
  }
  arena.grads[2 * arena.slotStride - 1] = 7;
  assert.deepEqual(
    [arena.weights, arena.m, arena.v].map((array) => array.at(-1)),
    [1, 2, 3],
  );
  assert.deepEqual([arena.packed.at(-1), arena.squares.at(-1), arena.losses.at(-1)], [4, 5, 6]);
});
