import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinRows, microBatchSize, parseSizes } from '../../../src/commands/bench/rows.js';
import { warningsOf } from '../../../src/commands/bench/warnings.js';

test('bench sizes: whole numbers of tokens, or an error that says so', () => {
  assert.deepEqual(parseSizes({}, 128), { rows: null, sequence: null });
  assert.deepEqual(parseSizes({ rows: '174', sequence: '128' }, 128), { rows: 174, sequence: 128 });
  for (const text of ['0', '-3', '1.5', 'many', '65537', '']) {
    for (const flag of ['rows', 'sequence']) {
      assert.throws(() => parseSizes({ [flag]: text }, 65536), {
        name: 'ConfigError',
        message: new RegExp(`^--${flag} .* is not a number of tokens\\.\\n {2}Expected`),
      });
    }
  }
  assert.throws(() => parseSizes({ sequence: '129' }, 128), {
    name: 'ConfigError',
    message: /^--sequence 129 is longer than the model reads: model\.seq_len is 128\.\n {2}.*--set model\.seq_len=129$/,
  });
});

test('bench joined rows: each row in one of them, and every one of them long enough', () => {
  const row = (prompt: string, completion: string, line: number) => ({ prompt, completion, file: 'f', line });
  const rows = [row('ab', 'cd', 1), row('e', 'fghij', 2), row('k', 'lm', 3), row('nopqrst', 'u', 4), row('v', 'w', 5)];
  const join = (length: number) =>
    joinRows(rows, (text) => text.length, length).map(({ prompt, completion, line }) => [prompt, completion, line]);
  assert.deepEqual(
    join(1),
    rows.map(({ prompt, completion, line }) => [prompt, completion, line]),
  );
  assert.deepEqual(join(6), [
    ['ab', 'cdfghij', 1],
    ['k', 'lmuwcd', 3],
  ]);
  // One that needs more rows than there are takes them again.
  assert.deepEqual(join(15), [['ab', 'cdfghijlmuwcd', 1]]);
});

test('bench rows: as many sequences of the usual length as make up the tokens exactly', () => {
  const train = (tokens: number, count: number) => ({ tokens: new Int32Array(tokens), count });
  assert.deepEqual(microBatchSize(train(250, 10), 4, null), { sequences: 4, tokens: 25 });
  // 174 / 43 is about 4; 174 = 2 * 3 * 29, and 3 is nearer than 6.
  assert.deepEqual(microBatchSize(train(430, 10), 4, 174), { sequences: 3, tokens: 58 });
  assert.deepEqual(microBatchSize(train(430, 10), 4, 1), { sequences: 1, tokens: 1 });
  assert.deepEqual(microBatchSize(train(430, 10), 4, 172), { sequences: 4, tokens: 43 });
});

test('bench warnings: others that keep a needed core busy, and more threads than cores', () => {
  const cores = { usablePhysical: 2, usableLogical: 4 };
  const warned = (othersBusy: number | null, threads: number) => warningsOf({ othersBusy, threads, cores }).length;
  assert.equal(warned(null, 2), 0);
  assert.equal(warned(2.1, 2), 0);
  assert.equal(warned(2.2, 2), 1);
  assert.equal(warned(0.1, 4), 1);
  assert.equal(warned(0.2, 4), 2);
  assert.match(warningsOf({ othersBusy: 1.26, threads: 4, cores })[0], /^Other programs kept 1\.3 processors busy/);
});
