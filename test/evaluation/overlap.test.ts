import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { characterOverlap } from '../../src/evaluation/overlap.js';

const cases: [answer: string, expected: string, overlap: number, why: string][] = [
  ['词元', '词元', 1, 'equal'],
  ['甲乙', '丙丁', 0, 'nothing in common'],
  ['', '词元', 0, 'no answer'],
  ['', '', 1, 'two empty texts'],
  ['北京是首都', '首都是北京', 4 / 10, 'the order counts: 北京 or 首都, not all five'],
  ['甲丙', '甲乙丙', 4 / 5, 'a gap in the expected answer'],
  ['甲乙乙乙丙', '甲乙丙', 6 / 8, 'repetition costs'],
  ['甲 乙\n', '甲乙', 1, 'white space does not count'],
  ['😀', '😁', 0, 'half a character is no match'],
];

describe('overlap', () => {
  for (const [answer, expected, overlap, why] of cases) {
    it(`overlap: ${JSON.stringify(answer)} for ${JSON.stringify(expected)} (${why}), either way round`, () => {
      assert.equal(characterOverlap(answer, expected), overlap);
      assert.equal(characterOverlap(expected, answer), overlap);
    });
  }
});
