import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSize } from '../../../src/commands/train/size.js';
import { loadConfig } from '../../../src/config/load.js';

const GB = 1e9;

function check(nLayer: number, nEmbd: number, vocabSize: number, memory: number): () => void {
  const { model, training } = loadConfig({});
  return () => checkSize({ model: { ...model, nLayer, nEmbd }, training }, vocabSize, memory);
}

test('size: the shipped model trains in a few hundred megabytes', () => {
  assert.doesNotThrow(check(4, 256, 2048, 0.3 * GB));
  assert.throws(check(4, 256, 2048, 0.14 * GB), {
    name: 'ConfigError',
    message: /^This model needs at least 0\.2 GB of memory to train, and the machine has 0\.1 GB\.\n {2}Use a smaller/,
  });
});

test('size: a model whose moments no checkpoint could hold is refused, whatever the memory', () => {
  assert.doesNotThrow(check(18, 1024, 32_000, 1000 * GB));
  assert.throws(check(19, 1024, 32_000, 1000 * GB), {
    name: 'ConfigError',
    message:
      /^This model has 272 million parameters, too many for a checkpoint: expected at most 268 million\.\n {2}Use/,
  });
});
