import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { historyLimits, promptWithHistory } from '../../../src/commands/infer/history.js';
import { encodePrompt } from '../../../src/data/template.js';
import { createTokenizer } from '../../../src/tokenizer/tokenizer.js';
import { MIN_VOCAB_SIZE, trainBpe } from '../../../src/tokenizer/train.js';

/** Every byte is a token. */
const tokenizer = createTokenizer(trainBpe([], { vocabSize: MIN_VOCAB_SIZE }));
const turns = [
  { question: 'a', answer: 'A' },
  { question: 'b', answer: 'B' },
];
const both = 'a\n助手:A\n用户:b\n助手:B\n用户:c';
const last = 'b\n助手:B\n用户:c';

function tokens(prompt: string): number {
  return encodePrompt(tokenizer, prompt).length;
}

describe('chat history', () => {
  it('chat history: as many of the last turns as are wanted, in the marks of the dialogues in the data', () => {
    const ask = (count: number) => promptWithHistory(tokenizer, turns, 'c', { turns: count, tokens: 1000 });
    assert.deepEqual([ask(0), ask(1), ask(2), ask(9)], ['c', last, both, both]);
  });

  it('chat history: is cut from the front to what fits, to the token', () => {
    const ask = (room: number) => promptWithHistory(tokenizer, turns, 'c', { turns: 2, tokens: room });
    assert.equal(ask(tokens(both)), both);
    assert.equal(ask(tokens(both) - 1), last);
    assert.equal(ask(tokens(last)), last);
    assert.equal(ask(tokens(last) - 1), 'c');
    assert.equal(ask(1), 'c');
  });

  it('chat history: leaves room for the answer, but takes no more than half of the sequence for it', () => {
    assert.deepEqual(historyLimits(1, 128, 40), { turns: 1, tokens: 88 });
    assert.deepEqual(historyLimits(1, 128, 500), { turns: 1, tokens: 64 });
  });
});
