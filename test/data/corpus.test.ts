import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { attachCorpus, type CorpusBuffers, createCorpus } from '../../src/data/corpus.js';
import type { Row } from '../../src/data/jsonl.js';
import { encodeSample } from '../../src/data/template.js';
import { createTokenizer } from '../../src/tokenizer/tokenizer.js';
import { trainBpe } from '../../src/tokenizer/train.js';

const tokenizer = createTokenizer(trainBpe([], { vocabSize: 260 }));
const row = (prompt: string, completion: string, line = 1): Row => ({ prompt, completion, file: 'rows.jsonl', line });
const rows = [row('a', 'xyz'), row('bb', 'x'), row('a', 'xyz'), row(' a ', 'xyz'), row('a', 'xy'), row('bb', 'x')];

test('corpus: holds the samples one after the other, in shared memory', () => {
  const corpus = createCorpus(rows, tokenizer, 128);
  assert.equal(corpus.count, 6);
  rows.forEach((sampleRow, i) => {
    const sample = encodeSample(tokenizer, sampleRow, 128);
    const [start, end] = corpus.starts.subarray(i, i + 2);
    assert.deepEqual([...corpus.tokens.subarray(start, end)], [...sample.tokens]);
    assert.deepEqual([...corpus.targets.subarray(start, end)], [...sample.targets]);
    assert.equal(corpus.firstScoredRow[i], sample.firstScoredRow);
  });
  assert.equal(corpus.starts[0], 0);
  assert.equal(corpus.starts[6], corpus.tokens.length);
  for (const buffer of Object.values(corpus.buffers)) assert.ok(buffer instanceof SharedArrayBuffer);
});

test('corpus: equal samples point to the first of them, also when only spaces in the prompt differ', () => {
  const corpus = createCorpus(rows, tokenizer, 128);
  assert.deepEqual([...corpus.distinctOf], [0, 1, 0, 0, 4, 1]);
  assert.equal(corpus.distinctCount, 3);
});

test('corpus: samples that are cut at different tokens are not equal', () => {
  // Cut after x, one goes on with y and the other with z: same tokens, other targets.
  const seqLen = encodeSample(tokenizer, row('a', 'x'), 128).tokens.length - 1;
  const corpus = createCorpus([row('a', 'xy'), row('a', 'xz'), row('a', 'x')], tokenizer, seqLen);
  assert.deepEqual(corpus.tokens.subarray(0, seqLen), corpus.tokens.subarray(seqLen, 2 * seqLen));
  assert.deepEqual([...corpus.distinctOf], [0, 1, 2]);
  const fingerprints = ['xy', 'xz', 'x'].map(
    (answer) => createCorpus([row('a', answer)], tokenizer, seqLen).fingerprint,
  );
  assert.equal(new Set(fingerprints).size, 3);
});

test('corpus: counts the samples that were cut', () => {
  const lengths = rows.map((sampleRow) => encodeSample(tokenizer, sampleRow, 128).tokens.length);
  const longest = Math.max(...lengths);
  assert.equal(createCorpus(rows, tokenizer, longest).truncated, 0);
  assert.equal(createCorpus(rows, tokenizer, longest - 1).truncated, lengths.filter((n) => n === longest).length);
});

test('corpus: a prompt that leaves no room for an answer is an error with file and line', () => {
  const prefixLength = encodeSample(tokenizer, row('abc', 'x'), 128).firstScoredRow + 1;
  // The prefix just fits: its last row is scored, though it is the only one.
  assert.equal(createCorpus([row('abc', 'x')], tokenizer, prefixLength).firstScoredRow[0], prefixLength - 1);
  assert.throws(() => createCorpus([row('a', 'x'), row('abc', 'x', 7)], tokenizer, prefixLength - 1), {
    name: 'DataError',
    message:
      `rows.jsonl line 7: the prompt alone fills the whole sequence of ${prefixLength - 1} tokens, so there is no answer to learn.\n` +
      '  Shorten the prompt, or raise model.seq_len.',
  });
});

test('corpus: the fingerprint depends on tokens, targets and where samples start', () => {
  const fingerprint = (list: readonly Row[]) => createCorpus(list, tokenizer, 128).fingerprint;
  assert.equal(fingerprint(rows), fingerprint([...rows]));
  assert.match(fingerprint(rows), /^[0-9a-f]{64}$/);
  const all = [rows, rows.slice(1), [...rows].reverse(), [...rows.slice(0, 5), row('bb', 'y')]].map(fingerprint);
  assert.equal(new Set(all).size, all.length);
});

test('corpus: another thread sees the same memory through the buffers', () => {
  const corpus = createCorpus(rows, tokenizer, 128);
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(corpus.buffers);
  const { message } = receiveMessageOnPort(port2) as { message: CorpusBuffers };
  port1.close();
  const views = attachCorpus(message);
  assert.equal(views.count, 6);
  assert.deepEqual(views.tokens, corpus.tokens);
  assert.deepEqual(views.distinctOf, corpus.distinctOf);
  corpus.tokens[0] = 99;
  assert.equal(views.tokens[0], 99);
});
