import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Row } from '../../src/data/jsonl.js';
import { encodePrompt, encodeSample } from '../../src/data/template.js';
import { DataError } from '../../src/errors.js';
import { answerRow } from '../../src/evaluation/answer-row.js';
import { evaluateRows, mergeCopies } from '../../src/evaluation/evaluate.js';
import { createTokenizer } from '../../src/tokenizer/tokenizer.js';
import { MIN_VOCAB_SIZE, trainBpe } from '../../src/tokenizer/train.js';
import { createTableEngine } from '../sampling/table-engine.js';

/** Every byte is a token. */
const tokenizer = createTokenizer(trainBpe([], { vocabSize: MIN_VOCAB_SIZE }));
const V = tokenizer.vocabSize;

function rowOf(prompt: string, completion: string, line = 1): Row {
  return { prompt, completion, file: 'rows.jsonl', line };
}

/** Logits that depend on the last two tokens in an irregular way: every position has its own loss. Then what it says is scripted. */
function logitsAfter(tokens: readonly number[]): Float32Array {
  const logits = new Float32Array(V);
  const [a, b] = tokens.slice(-2);
  for (let id = 0; id < V; id++) logits[id] = Math.sin(a * 7 + b * 13 + id * 3);
  return logits;
}

/** Says `answer` to every prompt as long as it is let, on top of the irregular logits. */
function engineSaying(answer: string, prompt: string, seqLen = 128) {
  const ids = [...tokenizer.encode(answer, { special: false }), tokenizer.eosId];
  const prefix = encodePrompt(tokenizer, prompt).length;
  return createTableEngine({
    vocabSize: V,
    seqLen,
    next: (tokens) => {
      const logits = logitsAfter(tokens);
      const said = tokens.slice(prefix);
      if (said.every((id, i) => id === ids[i]) && said.length < ids.length) logits[ids[said.length]] += 5;
      return logits;
    },
  });
}

/** The loss as training defines it: the sample's tokens, one pass, cross-entropy at the scored rows, in float64. */
function expectedNats(engine: ReturnType<typeof engineSaying>, row: Row): number[] {
  const { tokens, targets, firstScoredRow } = encodeSample(tokenizer, row, engine.shape.seqLen);
  const session = engine.createSession();
  return Array.from(tokens, (token, i) => {
    const logits = Array.from(session.append(Int32Array.of(token)));
    return Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)) - logits[targets[i]];
  }).slice(firstScoredRow);
}

function assertClose(actual: Float64Array, expected: readonly number[]): void {
  assert.equal(actual.length, expected.length);
  expected.forEach((value, i) => {
    assert.ok(Math.abs(actual[i] - value) < 1e-9, `token ${i}: got ${actual[i]}, expected ${value}`);
  });
}

describe('evaluate', () => {
  for (const [said, expected, what] of [
    ['abc', 'abc', 'a right answer'],
    ['abx', 'abc', 'an answer that goes wrong in the middle'],
    ['xyz', 'abc', 'an answer that is wrong from the start'],
    ['abcd', 'abc', 'an answer that goes on too long'],
    ['ab', 'abc', 'an answer that ends too early'],
  ]) {
    it(`evaluate: the loss of the expected answer is that of training, whatever the model says: ${what}`, async () => {
      const row = rowOf('问', expected);
      const engine = engineSaying(said, row.prompt);
      const { answer, nats, isTruncated } = await answerRow(engine, tokenizer, row);
      assert.equal(answer, said);
      assert.equal(isTruncated, false);
      assertClose(nats, expectedNats(engine, row));
    });
  }

  it('evaluate: a right answer costs one pass over the sample', async () => {
    const row = rowOf('问', 'abc');
    const engine = engineSaying('abc', row.prompt);
    await answerRow(engine, tokenizer, row);
    const { tokens } = encodeSample(tokenizer, row, 128);
    assert.deepEqual(engine.appends.flat(), [...tokens]);
  });

  it('evaluate: an expected answer that is cut to the sequence is scored as far as it goes', async () => {
    const seqLen = encodePrompt(tokenizer, '问').length + 2;
    const row = rowOf('问', 'abc');
    const engine = engineSaying('abc', row.prompt, seqLen);
    const { nats, isTruncated } = await answerRow(engine, tokenizer, row);
    assert.equal(isTruncated, true);
    assertClose(nats, expectedNats(engine, row));
  });

  it('evaluate: a right answer longer than the usual limit is not cut off', async () => {
    const long = 'ab'.repeat(40);
    const row = rowOf('问', long);
    assert.equal((await answerRow(engineSaying(long, row.prompt, 256), tokenizer, row)).answer, long);
  });

  it('evaluate: a prompt without room for an answer is an error that names file and line', async () => {
    const row = rowOf('问', 'abc', 7);
    const length = encodePrompt(tokenizer, '问').length;
    await assert.rejects(answerRow(engineSaying('abc', '问', length), tokenizer, row), (error) => {
      assert.ok(error instanceof DataError);
      assert.match(error.message, /^rows\.jsonl line 7: the prompt alone has \d+ tokens, so there is no room/);
      return true;
    });
  });

  it('evaluate: identical rows are answered once; spaces in a prompt make no difference, another answer does', async () => {
    const rows = [rowOf('问 一', 'a', 1), rowOf('问二', 'a', 2), rowOf('问一', 'a', 3), rowOf('问一', 'b', 4)];
    const distinct = mergeCopies(rows);
    assert.deepEqual(
      distinct.map(({ row, copies }) => [row.line, copies]),
      [
        [1, 2],
        [2, 1],
        [4, 1],
      ],
    );
    const lines: number[] = [];
    for await (const { row } of evaluateRows(engineSaying('a', '问一'), tokenizer, distinct)) lines.push(row.line);
    assert.deepEqual(lines, [1, 2, 4]);
  });
});
