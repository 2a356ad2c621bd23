import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { trainingFlops } from '../../src/model/flops.js';
import { initializeWeights } from '../../src/model/init.js';
import { createParameterTable } from '../../src/model/parameters.js';
import { fixture } from '../helpers/paths.js';

const DEFAULT = { nLayer: 4, nHead: 4, nEmbd: 256, vocabSize: 824, seqLen: 128 };

test('parameters: the default model has the original’s names, in its order, and 3,368,192 numbers', () => {
  const table = createParameterTable(DEFAULT);
  const expected = JSON.parse(readFileSync(fixture('parity/default.json'), 'utf8'));
  assert.deepEqual(
    table.parameters.map((p) => p.name),
    expected.parameter_names,
  );
  assert.equal(table.count, 3_368_192);
});

test('parameters: every tensor starts on 64 bytes and none overlaps another', () => {
  const { parameters, flatLength } = createParameterTable({ ...DEFAULT, nEmbd: 36, vocabSize: 61 });
  let end = 0;
  for (const p of parameters) {
    assert.equal(p.offset % 16, 0, p.name);
    assert.ok(p.offset >= end, p.name);
    end = p.offset + p.length;
  }
  assert.ok(flatLength >= end);
});

test('init: matrices have the standard deviation of GPT-2, what joins the residual stream 1/sqrt(2L) of it', () => {
  const table = createParameterTable(DEFAULT);
  const weights = new Float32Array(table.flatLength);
  initializeWeights(table, 42, weights);
  for (const { name, offset, length, shape } of table.parameters) {
    const tensor = weights.subarray(offset, offset + length);
    if (shape.length === 1) {
      assert.ok(
        tensor.every((w) => w === (name.includes('norm') ? 1 : 0)),
        name,
      );
      continue;
    }
    const mean = tensor.reduce((sum, w) => sum + w, 0) / length;
    const std = Math.sqrt(tensor.reduce((sum, w) => sum + (w - mean) ** 2, 0) / length);
    const expected = /proj|fc2/.test(name) ? 0.02 / Math.sqrt(8) : 0.02;
    // The standard error of a standard deviation over n numbers is std / sqrt(2n); 5 of them.
    assert.ok(Math.abs(std / expected - 1) < 5 / Math.sqrt(2 * length), `${name}: ${std}`);
    assert.ok(Math.abs(mean) < (5 * expected) / Math.sqrt(length), `${name}: mean ${mean}`);
  }
});

test('init: the same seed gives the same bits, another seed others', () => {
  const table = createParameterTable({ ...DEFAULT, nLayer: 1, nEmbd: 32 });
  const [a, b, c] = [1, 1, 2].map((seed) => {
    const weights = new Float32Array(table.flatLength);
    initializeWeights(table, seed, weights);
    return weights;
  });
  assert.deepEqual(a, b);
  assert.notDeepEqual(a, c);
});

test('flops: a batch of the default model costs what counting its products by hand gives', () => {
  // One layer, C = 2, V = 3, T = 2 tokens, R = 1 scored: products 2*4*2 (k, v) + 10*4*1 (q, proj, fc1, fc2) + 3*2*1 (head) = 62;
  // attention 2*1*2*2 = 8; forward and backward = 3 times, a multiply-add = 2.
  const shape = { nLayer: 1, nHead: 1, nEmbd: 2, vocabSize: 3, seqLen: 2 };
  assert.equal(trainingFlops(shape, { tokens: 2, scored: 1 }), 6 * (62 + 8));
});
