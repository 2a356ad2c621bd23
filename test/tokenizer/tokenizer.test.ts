import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { DataError } from '../../src/errors.js';
import { saveTokenizer } from '../../src/tokenizer/save.js';
import { createTokenizer, loadTokenizer, parseTokenizer } from '../../src/tokenizer/tokenizer.js';
import { trainBpe } from '../../src/tokenizer/train.js';
import { incomplete, odd } from './fixtures.js';

const definition = trainBpe(odd.texts, { vocabSize: odd.vocab_size });
const tokenizer = createTokenizer(definition);
const foreign = parseTokenizer(incomplete.tokenizer, 'incomplete.json');

/** Any well-formed text; white space, marks and emoji as often as letters. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.array(fc.constantFrom(...odd.texts, '<eos>', '<bos>'), { maxLength: 4 }).map((parts) => parts.join('')),
);

test('tokenizer: encodes odd texts to the ids of the Rust library', () => {
  odd.texts.forEach((text, i) => {
    assert.deepEqual(tokenizer.encode(text, { special: true }), odd.ids[i], JSON.stringify(text));
    assert.deepEqual(tokenizer.encode(text, { special: false }), odd.ids[i].slice(1, -1), JSON.stringify(text));
  });
});

test('tokenizer: reads a file of the Rust library whose alphabet is incomplete, and gives <unk> where it does', () => {
  odd.texts.forEach((text, i) => {
    assert.deepEqual(foreign.encode(text, { special: true }), incomplete.ids[i], JSON.stringify(text));
  });
  const ids = foreign.encode('😀', { special: false });
  assert.ok(ids.includes(foreign.unkId));
  assert.notEqual(foreign.decode(ids), '😀');
});

test('tokenizer: any text comes back from its ids', () => {
  fc.assert(
    fc.property(
      anyText,
      fc.boolean(),
      (text, special) => tokenizer.decode(tokenizer.encode(text, { special })) === text,
    ),
    { numRuns: 500, seed: 1 },
  );
});

test('tokenizer: a text that spells special tokens is text', () => {
  const ids = tokenizer.encode('<eos><bos>', { special: false });
  assert.ok(ids.every((id) => id > 3));
  assert.equal(tokenizer.decode(ids), '<eos><bos>');
});

test('tokenizer: half a surrogate pair is read as U+FFFD', () => {
  assert.equal(tokenizer.decode(tokenizer.encode('a\ud83d!', { special: false })), 'a\ufffd!');
});

test('tokenizer: decodes no ids to an empty text and leaves special tokens out', () => {
  assert.equal(tokenizer.decode([]), '');
  assert.equal(tokenizer.decode([0, 1, 2, 3]), '');
  const { bosId, eosId, padId, unkId, vocabSize } = tokenizer;
  assert.deepEqual(
    { bosId, eosId, padId, unkId, vocabSize },
    { bosId: 0, eosId: 1, padId: 2, unkId: 3, vocabSize: 600 },
  );
  assert.equal(tokenizer.decode(Int32Array.from(tokenizer.encode('你好', { special: true }))), '你好');
});

test('tokenizer: refuses an id outside the vocabulary', () => {
  for (const id of [600, -1, 0.5, Number.NaN]) {
    assert.throws(() => tokenizer.decode([id]), {
      name: 'RangeError',
      message: `Token id ${id} is not in the vocabulary; expected 0 to 599.`,
    });
  }
});

test('stream decoder: never gives half a character, and all parts together are the decoded text', () => {
  const anyIds = fc.array(fc.integer({ min: 0, max: tokenizer.vocabSize - 1 }), { maxLength: 80 });
  const ids = fc.oneof(
    anyIds,
    anyText.map((text) => tokenizer.encode(text, { special: true })),
  );
  fc.assert(
    fc.property(ids, (ids) => {
      const decoder = tokenizer.createStreamDecoder();
      const parts = ids.map((id) => decoder.push(id));
      const rest = decoder.flush();
      assert.equal(parts.join('') + rest, tokenizer.decode(ids));
      assert.ok(parts.every((part) => !/\p{Surrogate}/u.test(part)));
      // Bytes that began a character are held back, so only a text with broken bytes has a rest.
      assert.ok(rest === '' || rest.startsWith('\ufffd'));
    }),
    { numRuns: 500, seed: 1 },
  );
});

test('stream decoder: holds a character back until its last byte, and starts anew after flush', () => {
  const bytes = createTokenizer(trainBpe([], { vocabSize: 260 }));
  const ids = bytes.encode('\ufeff好', { special: false });
  assert.equal(ids.length, 6);
  const decoder = bytes.createStreamDecoder();
  assert.deepEqual(
    ids.map((id) => decoder.push(id)),
    ['', '', '\ufeff', '', '', '好'],
  );
  decoder.push(ids[3]);
  assert.equal(decoder.flush(), '\ufffd');
  assert.equal(decoder.push(bytes.encode('a', { special: false })[0]), 'a');
});

test('pieces: show white space, control characters and parts of characters', () => {
  const bytes = createTokenizer(trainBpe(['\t\t', 'é', ' a', 'a\u0301'], { vocabSize: 300 }));
  const show = (text: string) => bytes.pieces(bytes.encode(text, { special: true })).slice(1, -1);
  assert.deepEqual(show('\t\t'), ['\\t\\t']);
  assert.deepEqual(show(' a'), ['␣a']);
  assert.deepEqual(show('é'), ['é']);
  assert.deepEqual(show('好'), ['\\xE5', '\\xA5', '\\xBD']);
  assert.deepEqual(show('\\'), ['\\\\']);
  assert.deepEqual(show('\u0301'), ['\\u{301}']);
  assert.deepEqual(show('\x1b'), ['\\u{1B}']);
  assert.deepEqual(bytes.pieces([0, 1]), ['<bos>', '<eos>']);
});

test('fingerprint: equal for equal tokenizers however their files are written, different for different ones', () => {
  const rewritten = JSON.parse(tokenizer.toJson()) as { model: { vocab: object; merges: string[][] } };
  const oldStyle = {
    ...rewritten,
    model: { ...rewritten.model, merges: rewritten.model.merges.map((pair) => pair.join(' ')) },
  };
  oldStyle.model.vocab = Object.fromEntries(Object.entries(rewritten.model.vocab).reverse());
  assert.equal(parseTokenizer(JSON.stringify(oldStyle), 'x').fingerprint, tokenizer.fingerprint);
  assert.match(tokenizer.fingerprint, /^[0-9a-f]{64}$/);
  assert.notEqual(createTokenizer(trainBpe(odd.texts, { vocabSize: 599 })).fingerprint, tokenizer.fingerprint);
  const swapped = JSON.parse(tokenizer.toJson()) as { model: { merges: unknown[] } };
  swapped.model.merges.reverse();
  assert.notEqual(parseTokenizer(JSON.stringify(swapped), 'x').fingerprint, tokenizer.fingerprint);
});

test('save and load: the file holds the same tokenizer, and nothing else stays in the folder', (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'new/tokenizer.json');
  saveTokenizer(path, definition);
  const loaded = loadTokenizer(path);
  assert.equal(loaded.fingerprint, tokenizer.fingerprint);
  assert.equal(loaded.toJson(), tokenizer.toJson());
  assert.throws(
    () => saveTokenizer(folder, definition),
    /^FileError: The tokenizer cannot be written to .* \((EISDIR|ENOTEMPTY|EEXIST|EPERM)\)/,
  );
  assert.deepEqual(readdirSync(folder), ['new']);
  assert.deepEqual(readdirSync(join(folder, 'new')), ['tokenizer.json']);
});

test('load: names what is missing and how to get it', (t) => {
  const folder = temporaryFolder(t);
  const missing = join(folder, 'tokenizer.json');
  assert.throws(
    () => loadTokenizer(missing),
    dataError(
      `There is no tokenizer ${missing}.\n  Looked for ${missing}. Make it from the training data: npx gpt-loom tokenizer build`,
    ),
  );
  assert.throws(
    () => loadTokenizer(folder),
    dataError(
      `${folder} is a folder; expected a tokenizer file.\n  Pass the file in it, e.g. ${folder}/tokenizer.json.`,
    ),
  );
  const huge = join(folder, 'huge.json');
  writeFileSync(huge, '');
  truncateSync(huge, 100 << 20);
  assert.throws(
    () => loadTokenizer(huge),
    dataError(`${huge} has 100 MB; a tokenizer may have 64 MB.\n  Pass the tokenizer.json itself.`),
  );
});

function dataError(message: string) {
  return (error: unknown) => {
    assert.ok(error instanceof DataError);
    assert.equal(error.message, message);
    return true;
  };
}

function temporaryFolder(t: { after(fn: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'loom-tokenizer-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
