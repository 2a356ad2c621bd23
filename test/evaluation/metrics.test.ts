import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { measure, measureTopics, wrongRows } from '../../src/evaluation/metrics.js';
import { isExact, isRefusal } from '../../src/evaluation/right.js';
import { answered } from './rows.js';

describe('metrics', () => {
  it('metrics: counts right, wrong and refused rows, each as often as it occurs', () => {
    const metrics = measure([
      answered('甲', '甲', { copies: 3 }),
      answered('乙', '丙'),
      answered('丁', '不知道。', { copies: 2 }),
      answered('不知道。', '不知道。', { copies: 4 }),
      answered('不知道。', '甲', { copies: 5 }),
    ]);
    assert.equal(metrics.rows, 15);
    assert.equal(metrics.distinctRows, 5);
    assert.equal(metrics.exact, 7);
    assert.deepEqual(metrics.taught, { rows: 6, exact: 3, refused: 2 });
    assert.deepEqual(metrics.outside, { rows: 9, refused: 4 });
    assert.ok(Math.abs(metrics.overlap - 7 / 15) < 1e-12);
  });

  it('metrics: loss is the mean over tokens, not over rows', () => {
    // 2 copies of 3 tokens with 6 nats, one of 5 tokens with 1: (2 * 6 + 1) / (2 * 3 + 5)
    const rows = [
      answered('甲', '甲', { copies: 2, nats: [1, 2, 3] }),
      answered('乙', '乙', { nats: [1, 0, 0, 0, 0] }),
    ];
    const { loss, perplexity } = measure(rows);
    assert.ok(Math.abs(loss - 13 / 11) < 1e-12);
    assert.ok(Math.abs(perplexity - Math.exp(13 / 11)) < 1e-12);
  });

  it('metrics: bits per byte leave out the second end and answers that were cut', () => {
    // 甲 has 3 bytes; ln 2 nats are a bit: (1 + 2) bits over 3 bytes, whatever the last token costs.
    const bit = Math.LN2;
    const whole = answered('甲', '甲', { copies: 7, nats: [bit, 2 * bit, 100] });
    const cut = answered('乙', '乙', { nats: [50, 50], isTruncated: true });
    assert.ok(Math.abs(measure([whole, cut]).bitsPerByte! - 1) < 1e-12);
    assert.equal(measure([cut]).bitsPerByte, null);
    assert.equal(measure([whole, cut]).truncatedRows, 1);
  });

  it('metrics: topics come by name, rows without one last', () => {
    const topics = measureTopics([
      answered('甲', '甲'),
      answered('乙', '丙', { topic: 'science' }),
      answered('乙', '乙', { topic: 'daily', copies: 2 }),
      answered('丁', '丁', { topic: 'science' }),
    ]);
    assert.deepEqual(
      topics.map(({ topic, rows, exact }) => [topic, rows, exact]),
      [
        ['daily', 2, 2],
        ['science', 2, 1],
        [null, 1, 1],
      ],
    );
  });

  it('metrics: a question outside is answered rightly by any refusal, a taught one by its answer alone', () => {
    const rows = [answered('不知道。', '不知道'), answered('甲。', '甲'), answered('甲', '甲乙')];
    assert.deepEqual(wrongRows(rows), rows.slice(1));
  });

  it('metrics: exact allows for white space at the ends and the marks in front that are never shown', () => {
    assert.ok(isExact('词元。', ' ，词元。\n'));
    assert.ok(!isExact('词元', '词元。'));
    assert.ok(!isExact('词 元', '词元'));
  });

  it('metrics: a refusal is 不知道 with or without its full stop, and nothing longer', () => {
    for (const text of ['不知道。', '不知道', '不知道！', ' 不知道。 ']) assert.ok(isRefusal(text), text);
    for (const text of ['我不知道。', '不知道，不过', '', '。']) assert.ok(!isRefusal(text), text);
  });
});
