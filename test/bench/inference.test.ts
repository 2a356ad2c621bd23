import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureInference, promptOfHalf } from '../../src/bench/inference.js';
import { encodePrompt } from '../../src/data/template.js';
import { selectEngine } from '../../src/engine/select.js';
import { ROWS, temporaryFolder, testInputs } from '../helpers/run.js';

const { tokenizer } = testInputs(temporaryFolder());
const SEQ_LEN = 48;
const prompt = promptOfHalf(
  ROWS.map((row) => row.prompt),
  tokenizer,
  SEQ_LEN,
);

test('inference: the prompt is the longest beginning of the texts that takes no more than half of the sequence', () => {
  const all = ROWS.map((row) => row.prompt).join('');
  assert.ok(all.startsWith(prompt));
  assert.ok(encodePrompt(tokenizer, prompt).length <= SEQ_LEN / 2);
  assert.ok(encodePrompt(tokenizer, all.slice(0, prompt.length + 1)).length > SEQ_LEN / 2);
  // One character at least, however short the sequence.
  assert.equal(promptOfHalf(['天空'], tokenizer, 2), '天');
  assert.equal(promptOfHalf(['天空'], tokenizer, 1000), '天空');
});

test('inference: both precisions answer to the end of the sequence', async () => {
  const shape = { nLayer: 1, nHead: 2, nEmbd: 32, vocabSize: tokenizer.vocabSize, seqLen: SEQ_LEN };
  let parts = 0;
  const figures = await measureInference({
    selection: selectEngine('native', 'fp32'),
    shape,
    tokenizer,
    prompt,
    answers: 2,
    onPart: async () => {
      parts++;
    },
  });
  assert.deepEqual(
    figures.map(({ weights }) => weights),
    ['fp32', 'int8'],
  );
  for (const { promptTokens, answerTokens, prefillTokensPerSec, decodeTokensPerSec } of figures) {
    assert.equal(promptTokens, encodePrompt(tokenizer, prompt).length);
    // The last token is produced by the last place in the sequence and needs none itself.
    assert.equal(answerTokens, SEQ_LEN - promptTokens + 1);
    assert.ok(prefillTokensPerSec > 100 && decodeTokensPerSec > 100);
  }
  // Two answers and one to warm up, in each precision.
  assert.equal(parts, 6);
});
