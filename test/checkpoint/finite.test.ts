// The check for NaN and infinity, in JavaScript and in C.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadAddon } from '../../src/addon/addon.js';
import { allFinite, findNonFinite } from '../../src/checkpoint/finite.js';

/** As bits, since JavaScript may change those of a NaN. */
const BITS: readonly [what: string, bits: number, isFinite: boolean][] = [
  ['0', 0, true],
  ['-0', 0x80000000, true],
  ['the smallest number above 0', 1, true],
  ['the largest number', 0x7f7fffff, true],
  ['the smallest number', 0xff7fffff, true],
  ['infinity', 0x7f800000, false],
  ['-infinity', 0xff800000, false],
  ['NaN', 0x7fc00000, false],
  ['a NaN of the least payload', 0x7f800001, false],
  ['a NaN of all ones', 0xffffffff, false],
];

for (const [what, bits, expected] of BITS) {
  test(`finite: ${what} is ${expected ? '' : 'not '}finite, for JavaScript and for the addon, wherever it stands`, () => {
    // One number, less than a vector, a rest after several vectors.
    for (const length of [1, 3, 67]) {
      for (const at of new Set([0, length >> 1, length - 1])) {
        const floats = new Float32Array(length).fill(-1.5);
        new Uint32Array(floats.buffer)[at] = bits;
        const where = `element ${at} of ${length}`;
        assert.equal(allFinite(floats), expected, where);
        assert.equal(loadAddon()!.allFinite(floats), expected, where);
        assert.equal(findNonFinite(floats), expected ? -1 : at, where);
      }
    }
  });
}

test('finite: no numbers at all are finite', () => {
  assert.equal(allFinite(new Float32Array(0)), true);
  assert.equal(loadAddon()!.allFinite(new Float32Array(0)), true);
});
