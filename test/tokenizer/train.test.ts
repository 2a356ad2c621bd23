import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadRows } from '../../src/data/jsonl.js';
import { formatPrompt } from '../../src/data/template.js';
import { BYTE_TO_CHAR, BYTE_TOKEN_PATTERN, tokenToBytes } from '../../src/tokenizer/alphabet.js';
import { createTokenizer } from '../../src/tokenizer/tokenizer.js';
import { MIN_VOCAB_SIZE, trainBpe } from '../../src/tokenizer/train.js';
import { repoRoot } from '../helpers/paths.js';
import { odd, shipped } from './fixtures.js';

const mergesOf = (definition: ReturnType<typeof trainBpe>) => definition.model.merges.map((merge) => merge.join(' '));

test('alphabet: 256 distinct visible characters, those of GPT-2', () => {
  assert.equal(new Set(BYTE_TO_CHAR).size, 256);
  // Space, line feed, delete, soft hyphen: the bytes that get letters of Latin Extended-A. 0x20 is the 33rd of them, U+0120.
  assert.deepEqual(
    [0x20, 0x0a, 0x7f, 0xad].map((byte) => BYTE_TO_CHAR[byte]),
    ['Ġ', 'Ċ', 'ġ', 'Ń'],
  );
  assert.equal(BYTE_TO_CHAR[0x41], 'A');
  assert.ok(BYTE_TO_CHAR.every((char) => BYTE_TOKEN_PATTERN.test(char)));
  assert.ok(!/[\p{Z}\p{C}]/u.test(BYTE_TO_CHAR.join('')));
  assert.deepEqual(
    [...tokenToBytes(BYTE_TO_CHAR.join(''))],
    Array.from({ length: 256 }, (_, byte) => byte),
  );
});

test('train: learns the same tokens and merges as the Rust library from odd texts', () => {
  const definition = trainBpe(odd.texts, { vocabSize: odd.vocab_size, minFrequency: odd.min_frequency });
  assert.deepEqual(mergesOf(definition), odd.merges);
  assert.deepEqual(definition.model.vocab, Object.fromEntries(odd.tokens.map((token, id) => [token, id])));
});

test('train: learns the same merges as the Rust library from the shipped data, and encodes it alike', () => {
  const path = join(repoRoot, 'data/train.jsonl');
  const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
  assert.equal(
    digest,
    shipped.data_sha256,
    'data/train.jsonl has changed since the fixture was made; run scripts/make-tokenizer-fixture.py, see its first lines',
  );
  const texts = loadRows(path).flatMap(({ prompt, completion }) => [formatPrompt(prompt), completion]);
  const definition = trainBpe(texts, { vocabSize: shipped.vocab_size });
  assert.deepEqual(mergesOf(definition), shipped.merges);
  const tokenizer = createTokenizer(definition);
  shipped.ids.forEach((ids, i) => {
    assert.deepEqual(tokenizer.encode(texts[i], { special: true }), ids, texts[i]);
  });
});

test('train: takes the most frequent pair, ties by the smaller ids', () => {
  // ab occurs 3 times; then cd and dc twice each, and the bytes of c come before those of d. After cd, no pair occurs twice.
  const { model } = trainBpe(['ab', 'ab', 'ab', 'dcdc', 'cd'], { vocabSize: 300, minFrequency: 2 });
  assert.deepEqual(model.merges, [
    ['a', 'b'],
    ['c', 'd'],
  ]);
});

test('train: counts a word as often as the texts hold it', () => {
  const { model } = trainBpe(['xy xy xy', 'pq'], { vocabSize: MIN_VOCAB_SIZE + 1 });
  // "xy" once and " xy" twice.
  assert.deepEqual(model.merges, [['x', 'y']]);
});

test('train: merges a run of equal bytes from the left', () => {
  // aaaaa -> aa aa a; the pair (aa, aa) is met once, (aa, a) once, and the smaller right id goes first.
  const { model } = trainBpe(['aaaaa'], { vocabSize: 300 });
  assert.deepEqual(model.merges, [
    ['a', 'a'],
    ['aa', 'a'],
    ['aa', 'aaa'],
  ]);
});

test('train: has the special tokens and all bytes whatever the texts, and never more tokens than asked for', () => {
  const empty = trainBpe([], { vocabSize: 2048 });
  assert.deepEqual(empty.model.merges, []);
  assert.equal(Object.keys(empty.model.vocab).length, 260);
  assert.deepEqual(
    ['<bos>', '<eos>', '<pad>', '<unk>', '!'].map((token) => empty.model.vocab[token]),
    [0, 1, 2, 3, 4],
  );
  for (const vocabSize of [260, 261, 300]) {
    assert.equal(Object.keys(trainBpe(odd.texts, { vocabSize }).model.vocab).length, vocabSize);
  }
  assert.throws(() => trainBpe([], { vocabSize: 259 }), {
    name: 'RangeError',
    message: 'vocabSize 259 is too small: 260 special tokens and bytes are always there.',
  });
});

test('train: ignores the order of the texts', () => {
  const options = { vocabSize: 500 };
  assert.deepEqual(trainBpe([...odd.texts].reverse(), options), trainBpe(odd.texts, options));
});

test('train: learns words that objects have as properties like other words', () => {
  const definition = trainBpe(['constructor toString 12 __proto__'], { vocabSize: 400 });
  const tokenizer = createTokenizer(definition);
  const ids = tokenizer.encode('constructor toString 12 __proto__', { special: false });
  assert.deepEqual(tokenizer.pieces(ids), ['constructor', '␣toString', '␣12', '␣__', 'proto', '__']);
});
