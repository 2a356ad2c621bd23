import assert from 'node:assert/strict';
import { test } from 'node:test';
import { microBatchSize, parseRows } from '../../../src/commands/bench/rows.js';
import { warningsOf } from '../../../src/commands/bench/warnings.js';

test('bench rows: a whole number of tokens, or an error that says so', () => {
  assert.equal(parseRows(undefined), null);
  assert.equal(parseRows('174'), 174);
  for (const text of ['0', '-3', '1.5', 'many', '65537', '']) {
    assert.throws(() => parseRows(text), {
      name: 'ConfigError',
      message: /^--rows .* is not a number of tokens\.\n {2}Expected/,
    });
  }
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
