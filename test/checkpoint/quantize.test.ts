import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quantizeWeights } from '../../src/checkpoint/quantize.js';
import type { Int8Tensor, WeightTensor } from '../../src/model/weights.js';
import { contentOf, TABLE } from './helpers/content.js';

function quantizeRow(...row: number[]): { values: number[]; scale: number } {
  const table = { ...TABLE, parameters: [{ ...TABLE.parameters[0], shape: [1, row.length], length: row.length }] };
  const tensors = new Map<string, WeightTensor>([
    ['tok_emb.weight', { kind: 'f32', shape: [1, row.length], data: Float32Array.from(row) }],
  ]);
  const { data, scales } = quantizeWeights(tensors, table).get('tok_emb.weight') as Int8Tensor;
  return { values: [...data], scale: scales[0] };
}

test('quantize: rounds to the nearest integer of the row scale, ties to even', () => {
  // The largest weight is 127, so the scale is 1 and the weights are their own quotients.
  assert.deepEqual(quantizeRow(127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.51, -126.6), {
    values: [127, 0, 2, 2, 0, -2, -2, 1, -127],
    scale: 1,
  });
  // 25.4 / 127 = 0.2; 10 / 0.2 = 50; -1.3 / 0.2 = -6.5, but 0.2 as f32 is 0.2000000030 and -1.3 is -1.2999999523: -6.4999997.
  assert.deepEqual(quantizeRow(-25.4, 10, -1.3), { values: [-127, 50, -6], scale: Math.fround(0.2) });
});

test('quantize: rows of zeros and of the smallest numbers stay within bounds', () => {
  assert.deepEqual(quantizeRow(0, -0, 0), { values: [0, 0, 0], scale: 0 });
  // 2^-149 is the smallest f32. 190 * 2^-149 / 127 = 1.496 of it, which f32 rounds to 1: the quotient 190 is clamped.
  assert.deepEqual(quantizeRow(190 * 2 ** -149, -(2 ** -149)), { values: [127, -1], scale: 2 ** -149 });
});

test('quantize: each row has its own scale, and no weight moves by more than half of it', () => {
  const { tensors } = contentOf(1);
  for (const [name, tensor] of quantizeWeights(tensors, TABLE)) {
    const original = tensors.get(name)!;
    const { isMatrix } = TABLE.parameters.find((parameter) => parameter.name === name)!;
    assert.equal(tensor.kind, isMatrix ? 'int8' : 'f32', name);
    if (tensor.kind === 'f32') {
      assert.equal(tensor, original);
      continue;
    }
    const [rows, columns] = tensor.shape;
    assert.equal(new Set(tensor.scales).size, rows);
    for (let i = 0; i < tensor.data.length; i++) {
      const scale = tensor.scales[Math.floor(i / columns)];
      const error = Math.abs(original.data[i] - tensor.data[i] * scale);
      assert.ok(error <= scale * (0.5 + 1e-5), `${name}[${i}] is off by ${error}, scale ${scale}`); // The scale is itself rounded.
    }
  }
});
