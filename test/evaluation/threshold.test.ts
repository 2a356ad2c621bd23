import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chooseThreshold, tryThreshold, withholdBelow } from '../../src/evaluation/threshold.js';
import { answered } from './rows.js';

/** Right answers from 0.6 on, wrong ones up to 0.55, and one sure mistake. */
const rows = [
  answered('甲', '甲', { confidence: 0.9, copies: 10 }),
  answered('乙', '乙', { confidence: 0.6, copies: 2 }),
  answered('丙', '甲', { confidence: 0.55 }),
  answered('不知道。', '甲', { confidence: 0.3, copies: 3 }),
  answered('不知道。', '不知道。', { confidence: 0.1, copies: 4 }),
  answered('丁', '不知道。', { confidence: 0.2 }),
  answered('不知道。', '乙', { confidence: 0.95 }),
];

describe('threshold', () => {
  it('threshold: counts what would be said with it', () => {
    const counts = { taughtExact: 12, taughtRefused: 1, outsideRefused: 4 };
    assert.deepEqual(tryThreshold(rows, 0), { threshold: 0, rightDecisions: 16, ...counts, wrongGiven: 5 });
    assert.deepEqual(tryThreshold(rows, 0.7), {
      threshold: 0.7,
      // 10 right ones given, 2 right ones lost; withheld 1 + 3 wrong ones; 4 refusals of the model itself.
      rightDecisions: 18,
      taughtExact: 10,
      taughtRefused: 4,
      outsideRefused: 7,
      wrongGiven: 1,
    });
  });

  it('threshold: the best has the most right decisions and of equals is the lowest', () => {
    const { off, best } = chooseThreshold(rows);
    assert.equal(off.threshold, 0);
    // Everything from 0.56 to 0.60 withholds the same rows.
    assert.equal(best.threshold, 0.56);
    assert.equal(best.rightDecisions, 20);
  });

  it('threshold: none is chosen where none helps', () => {
    assert.equal(chooseThreshold([answered('甲', '甲', { confidence: 0.4 })]).best.threshold, 0);
  });

  it('threshold: an answer at the threshold is given, one without tokens falls below any', () => {
    const texts = (threshold: number) =>
      withholdBelow(
        [answered('甲', '甲', { confidence: 0.5 }), answered('甲', '', { confidence: null })],
        threshold,
      ).map(({ answer }) => answer);
    assert.deepEqual(texts(0), ['甲', '']);
    assert.deepEqual(texts(0.5), ['甲', '不知道。']);
    assert.deepEqual(texts(0.51), ['不知道。', '不知道。']);
  });
});
