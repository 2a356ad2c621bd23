import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import stringWidth from 'string-width';
import {
  clean,
  dropLastCharacter,
  keepEnd,
  padEnd,
  padStart,
  truncate,
  truncateStart,
  widthOf,
  wrap,
} from '../../src/ui/text.js';

/** Texts as they come from data: Chinese, Latin, emoji, combining marks. */
const texts = fc.string({ unit: fc.constantFrom('字', '。', 'a', ' ', 'é', 'e\u0301', '👍', '한', '█', '⣿', '…') });

test('text: everything the dashboard draws with takes one column', () => {
  const drawn = `·…✓✗●${String.fromCharCode(...range(0x2500, 0x259f), ...range(0x2800, 0x28ff))}`;
  for (const character of drawn) assert.equal(stringWidth(character), 1, character);
});

test('text: widths are those of string-width, asked once or twice', () => {
  fc.assert(
    fc.property(texts, (text) => {
      assert.equal(widthOf(text), stringWidth(text));
      assert.equal(widthOf(text), stringWidth(text));
    }),
  );
});

test('text: cutting never passes the width, and never leaves more than one column free', () => {
  fc.assert(
    fc.property(texts, fc.integer({ min: 0, max: 30 }), (text, width) => {
      const cut = truncate(text, width);
      if (stringWidth(text) <= width) assert.equal(cut, text);
      else assert.ok(stringWidth(cut) <= width && stringWidth(cut) >= width - 1, `${cut} for ${width}`);
      assert.equal(stringWidth(padEnd(text, width)), width);
      assert.equal(stringWidth(padStart(text, width)), width);
    }),
  );
});

test('text: cuts and pads Chinese by columns', () => {
  assert.equal(truncate('月亮上有多少只猫？', 9), '月亮上有…');
  assert.equal(truncate('月亮上有多少只猫？', 10), '月亮上有…');
  assert.equal(padEnd('月亮', 6), '月亮  ');
  assert.equal(padStart('月亮上有', 6), ' 月亮…');
  assert.equal(keepEnd('月亮上有', 5), '上有');
});

test('text: wraps at spaces, and Chinese anywhere', () => {
  assert.deepEqual(wrap('worker 1 died and was replaced', 16), ['worker 1 died', 'and was replaced']);
  assert.deepEqual(wrap('防止梯度过大导致训练不稳定。', 10), ['防止梯度过', '大导致训练', '不稳定。']);
  assert.deepEqual(wrap('防止梯度过大导致训练不稳定。', 10, 2), ['防止梯度过', '大导致训…']);
  assert.deepEqual(wrap('', 10), ['']);
});

test('text: wrapping keeps every character but spaces, in lines that fit', () => {
  fc.assert(
    fc.property(texts, fc.integer({ min: 2, max: 30 }), (text, width) => {
      const lines = wrap(text, width);
      for (const line of lines) assert.ok(stringWidth(line) <= width, `${JSON.stringify(line)} in ${width}`);
      assert.equal(lines.join('').replaceAll(' ', ''), text.replaceAll(' ', ''));
    }),
  );
});

test('text: cleaning takes out what would move the cursor or hide, and keeps the words', () => {
  assert.equal(clean('\u001b[2J红\n\t字\u0007'), '[2J红 字');
  assert.equal(clean('a\u200bb\u202ec\ufe0f'), 'abc');
  assert.equal(clean('e\u0301'), 'é');
  assert.equal(clean('  不知道。\r\n'), '不知道。');
});

test('text: erasing takes one character as the reader counts', () => {
  assert.equal(dropLastCharacter('问题'), '问');
  assert.equal(dropLastCharacter('👨‍👩‍👧'), '');
  assert.equal(dropLastCharacter(''), '');
});

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

test('text: a path keeps its end', () => {
  assert.equal(truncateStart('runs/a', 6), 'runs/a');
  assert.equal(truncateStart('/home/me/runs/a', 7), '…runs/a');
  assert.equal(truncateStart('数据/模型', 6), '…/模型');
});
