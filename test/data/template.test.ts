import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  encodePrompt,
  encodeSample,
  formatPrompt,
  NOT_SCORED,
  normalisePrompt,
  promptAfterTurns,
} from '../../src/data/template.js';
import { createTokenizer } from '../../src/tokenizer/tokenizer.js';
import { trainBpe } from '../../src/tokenizer/train.js';

// Bytes only: a token is a byte, so that lengths can be counted by hand.
const tokenizer = createTokenizer(trainBpe([], { vocabSize: 260 }));
const { bosId: BOS, eosId: EOS } = tokenizer;
const byteId = (char: string) => tokenizer.encode(char, { special: false })[0];

test('normalise prompt: removes plain and full-width spaces, trims other white space, makes line ends plain', () => {
  assert.equal(normalisePrompt(' 什么 是\u3000词元 ？ '), '什么是词元？');
  assert.equal(normalisePrompt('\t第一行\r\n第 二行\n\n'), '第一行\n第二行');
  assert.equal(normalisePrompt('teacher forcing'), 'teacherforcing');
  // Other white space inside stays: a tab, a no-break space, a lone carriage return.
  assert.equal(normalisePrompt('a\tb\u00a0c\rd'), 'a\tb\u00a0c\rd');
  assert.equal(normalisePrompt(' \u3000\r\n'), '');
});

test('format prompt: puts the normalised prompt between the two speakers', () => {
  assert.equal(formatPrompt(' 你 好 '), '用户:你好\n助手:');
});

test('encode prompt: stands between <bos> and <eos>', () => {
  const text = tokenizer.encode('用户:a\n助手:', { special: false });
  assert.deepEqual(encodePrompt(tokenizer, 'a'), [BOS, ...text, EOS]);
});

test("encode sample: the prefix's last row predicts the answer's first token, the last row <eos> again", () => {
  const prefix = encodePrompt(tokenizer, '问');
  const [x, y] = [byteId('x'), byteId('y')];
  const { tokens, targets, firstScoredRow, truncated } = encodeSample(
    tokenizer,
    { prompt: '问', completion: 'xy' },
    128,
  );
  assert.deepEqual([...tokens], [...prefix, x, y, EOS]);
  assert.equal(firstScoredRow, prefix.length - 1);
  const notScored = new Array(prefix.length - 1).fill(NOT_SCORED);
  // Rows: prefix's <eos>, x, y, final <eos>. A tokens of answer make A + 2 scored rows.
  assert.deepEqual([...targets], [...notScored, x, y, EOS, EOS]);
  assert.equal(truncated, false);
});

test('encode sample: keeps the spaces of the answer', () => {
  const { tokens } = encodeSample(tokenizer, { prompt: 'a', completion: ' b c' }, 128);
  assert.equal(tokenizer.decode(tokens.slice(-5)), ' b c');
});

test('encode sample: cuts the end, and the last row still expects the token that follows', () => {
  const sample = { prompt: '问', completion: 'xyz' };
  const whole = encodeSample(tokenizer, sample, 128);
  const length = whole.tokens.length;
  assert.equal(encodeSample(tokenizer, sample, length).truncated, false);
  for (let seqLen = 2; seqLen < length; seqLen++) {
    const cut = encodeSample(tokenizer, sample, seqLen);
    assert.equal(cut.truncated, true);
    assert.deepEqual(cut.tokens, whole.tokens.subarray(0, seqLen));
    assert.deepEqual(cut.targets, whole.targets.subarray(0, seqLen));
    assert.equal(cut.firstScoredRow, Math.min(whole.firstScoredRow, seqLen));
  }
});

test('prompt after turns: becomes the turns in order, each in the marks of the template, the question last', () => {
  assert.equal(promptAfterTurns([], '问'), '问');
  const turns = [
    { question: '一', answer: '甲。' },
    { question: '二', answer: '乙。' },
  ];
  assert.equal(formatPrompt(promptAfterTurns(turns, '三')), '用户:一\n助手:甲。\n用户:二\n助手:乙。\n用户:三\n助手:');
});
