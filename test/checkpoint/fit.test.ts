import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collectWeights, flattenWeights } from '../../src/checkpoint/fit.js';
import type { WeightTensor } from '../../src/model/weights.js';
import { contentOf, TABLE } from './helpers/content.js';

const ADVICE = '  Model and checkpoint must agree in n_layer, n_embd and the size of the vocabulary.';

test('fit: flat vector to tensors and back keeps every number and leaves the gaps alone', () => {
  const flat = Float32Array.from({ length: TABLE.flatLength }, (_, i) => i);
  const into = new Float32Array(TABLE.flatLength).fill(-1);
  flattenWeights(collectWeights(flat, TABLE), TABLE, into);
  const isInTensor = (i: number) => TABLE.parameters.some(({ offset, length }) => i >= offset && i < offset + length);
  assert.deepEqual(
    [...into],
    [...flat].map((value, i) => (isInTensor(i) ? value : -1)),
  );
  assert.ok(into.includes(-1));
});

test('fit: collected tensors are views', () => {
  const flat = new Float32Array(TABLE.flatLength);
  const { data } = collectWeights(flat, TABLE).get('norm.weight')!;
  flat[TABLE.parameters.at(-1)!.offset] = 9;
  assert.equal(data[0], 9);
});

test('fit: missing, surplus, misshapen, int8 and non-finite tensors are named with what was expected', () => {
  const f32 = (...shape: number[]): WeightTensor => ({
    kind: 'f32',
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
  });
  const int8: WeightTensor = { kind: 'int8', shape: [4], data: new Int8Array(4), scales: new Float32Array(4) };
  const cases: [string, (tensors: Map<string, WeightTensor>) => void, string][] = [
    [
      'missing',
      (w) => w.delete('norm.weight'),
      `x doesn't fit the model: tensor norm.weight is missing, expected [4].\n${ADVICE}`,
    ],
    [
      'surplus',
      (w) => w.set('head\u001b', f32(1, 2)),
      `x doesn't fit the model: tensor "head\\u001b" [1, 2] has no place in the model.\n${ADVICE}`,
    ],
    [
      'misshapen',
      (w) => w.set('blocks.0.mlp.fc1.weight', f32(4, 16)).delete('norm.weight'),
      `x doesn't fit the model: tensor blocks.0.mlp.fc1.weight has shape [4, 16], expected [16, 4] (and 1 more differences).\n${ADVICE}`,
    ],
    [
      'int8 vector',
      (w) => w.set('norm.weight', int8),
      `x doesn't fit the model: tensor norm.weight is int8, expected f32: only matrices are quantised.\n${ADVICE}`,
    ],
    [
      'NaN',
      (w) => w.set('norm.weight', { kind: 'f32', shape: [4], data: Float32Array.of(1, 2, Number.NaN, 4) }),
      'x holds NaN in tensor "norm.weight", element 2; finite numbers were expected.\n  Use another checkpoint, or train again.',
    ],
  ];
  for (const [what, change, message] of cases) {
    const tensors = new Map(contentOf(1).tensors);
    change(tensors);
    const flatten = () => flattenWeights(tensors, TABLE, new Float32Array(TABLE.flatLength), 'x');
    assert.throws(flatten, { name: 'CheckpointError', message }, what);
  }
});
