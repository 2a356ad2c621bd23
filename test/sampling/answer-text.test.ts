import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createAnswerText, trimLeading } from '../../src/sampling/answer-text.js';

/** What is shown after each piece; the last entry is what the end brings. */
function show(pieces: readonly string[], stopStrings: readonly string[]): string[] {
  const answer = createAnswerText(stopStrings);
  return [...pieces.map((piece) => answer.push(piece)), answer.flush()];
}

fc.configureGlobal({ seed: 20_261_124 });

describe('answer text', () => {
  it('answer text: shows every piece at once when there is nothing to wait for', () => {
    assert.deepEqual(show(['注意', '力', '。'], []), ['注意', '力', '。', '']);
    assert.deepEqual(show(['注意', '力'], ['结束']), ['注意', '力', '']);
  });

  it('answer text: holds back what may become a stop string and shows it when it does not', () => {
    assert.deepEqual(show(['好的#', '#', '呀'], ['###']), ['好的', '', '##呀', '']);
    assert.deepEqual(show(['好的#', '#'], ['###']), ['好的', '', '##']);
  });

  it('answer text: ends before a stop string that lies across pieces, and is silent afterwards', () => {
    const answer = createAnswerText(['###']);
    assert.deepEqual(
      ['好的#', '#', '#不', '要'].map((piece) => answer.push(piece)),
      ['好的', '', '', ''],
    );
    assert.equal(answer.isStopped, true);
    assert.equal(answer.flush(), '');
  });

  it('answer text: finds a stop string that begins inside a failed one', () => {
    assert.deepEqual(show(['ab', 'ac'], ['abc', 'aca']), ['', 'ab', 'ac']);
    assert.deepEqual(show(['aa', 'ab'], ['aab']), ['', 'a', '']);
  });

  it('answer text: of several stop strings the one that is complete first counts', () => {
    for (const pieces of [['xabcd'], ['xab', 'cd'], ['x', 'a', 'b', 'c', 'd']]) {
      assert.equal(show(pieces, ['abcd', 'bc']).join(''), 'xa');
    }
    // Complete at the same place: the longer one.
    assert.equal(show(['xabc'], ['bc', 'abc']).join(''), 'x');
  });

  it('answer text: begins after leading punctuation and white space, however it arrives', () => {
    assert.equal(trimLeading(' \n：，。!?…　好，的。'), '好，的。');
    assert.equal(trimLeading('。。'), '');
    assert.deepEqual(show(['：', ' ', '，好', '，'], []), ['', '', '好', '，', '']);
  });

  it('answer text: a stop string counts even where nothing has been shown yet', () => {
    assert.deepEqual(show(['\n', '好'], ['\n']), ['', '', '']);
  });

  it('answer text: where pieces begin and end changes nothing', () => {
    const alphabet = fc.constantFrom('a', 'b', '，', ' ');
    const text = fc.array(alphabet, { maxLength: 12 }).map((chars) => chars.join(''));
    const stop = fc.array(alphabet, { minLength: 1, maxLength: 4 }).map((chars) => chars.join(''));
    fc.assert(
      fc.property(fc.array(text, { maxLength: 6 }), fc.array(stop, { maxLength: 3 }), (pieces, stops) => {
        const whole = pieces.join('');
        assert.equal(show(pieces, stops).join(''), show([...whole], stops).join(''));
        // The plain definition: cut before the stop string whose end comes first, then trim.
        const ends = stops.flatMap((s) =>
          whole.includes(s) ? [{ end: whole.indexOf(s) + s.length, length: s.length }] : [],
        );
        ends.sort((x, y) => x.end - y.end || y.length - x.length);
        const cut = ends.length > 0 ? whole.slice(0, ends[0].end - ends[0].length) : whole;
        assert.equal(show(pieces, stops).join(''), trimLeading(cut));
      }),
    );
  });

  it('answer text: what was shown is never taken back by a later stop string', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 8 }),
        fc.string({ minLength: 1, maxLength: 4 }),
        fc.nat(),
        (before, stop, at) => {
          const text = `好${before}${stop}`;
          const cut = at % text.length;
          const shown = show([text.slice(0, cut), text.slice(cut)], [stop]).join('');
          assert.equal(shown, text.slice(0, text.indexOf(stop)));
        },
      ),
    );
  });
});
