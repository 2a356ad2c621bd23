// What memory native inference takes: weights where they lie, no panels that only training reads, of int8 weights no f32 ones.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadAddon } from '../../src/addon/addon.js';
import { collectWeights } from '../../src/checkpoint/fit.js';
import { quantizeWeights } from '../../src/checkpoint/quantize.js';
import { createNativeTraining, nativePackedFloats, shapeNumbers } from '../../src/engine/native.js';
import { createNativeInference } from '../../src/engine/native-inference.js';
import type { NamedWeights } from '../../src/model/weights.js';
import { alignedFloats, capacityOf, loadParityCase } from '../helpers/parity.js';

const { shape, table, weights, batch } = loadParityCase('tiny');
const TOKENS = Int32Array.of(1, 2, 3);

/** Views of `flat`, or copies of them. */
function namedWeights(flat: Float32Array, isCopied: boolean): NamedWeights {
  return new Map(
    table.parameters.map((p) => {
      const view = flat.subarray(p.offset, p.offset + p.length);
      return [p.name, { kind: 'f32', shape: p.shape, data: isCopied ? view.slice() : view }];
    }),
  );
}

function logitsOf(named: NamedWeights, change?: () => void): Float32Array {
  const engine = createNativeInference(shape, named);
  change?.();
  return engine.createSession().append(TOKENS).slice();
}

test('native inference: weights in place, copied ones and ones off the boundary give the same bits', () => {
  const flat = alignedFloats(table.flatLength);
  flat.set(weights);
  const shifted = alignedFloats(table.flatLength + 1).subarray(1);
  shifted.set(weights);
  const expected = logitsOf(namedWeights(flat, true));
  assert.deepEqual(logitsOf(namedWeights(flat, false)), expected);
  assert.deepEqual(logitsOf(namedWeights(shifted, false)), expected);
});

test('native inference: copies weights only where they do not lie as the kernels want them', () => {
  for (const isCopied of [false, true]) {
    const flat = alignedFloats(table.flatLength);
    flat.set(weights);
    const named = namedWeights(flat, isCopied);
    const before = logitsOf(named);
    const gain = table.parameters.find((p) => p.name === 'norm.weight')!;
    const after = logitsOf(named, () => flat.fill(0, gain.offset, gain.offset + gain.length));
    if (isCopied) assert.deepEqual(after, before);
    else assert.deepEqual(after, new Float32Array(shape.vocabSize), 'a final norm of gain 0 leaves logits of 0');
  }
});

test('native inference: its panels are at most a little over half of those of a training, and refuse to be trained', () => {
  for (const precision of ['fp32', 'bf16'] as const) {
    const length = nativePackedFloats(shape, 'inference', precision);
    const all = nativePackedFloats(shape, 'training', precision);
    assert.ok(length < 0.6 * all, `${length} of ${all}`);
    const train = (floats: number) =>
      createNativeTraining({ shape, table, weights, packed: alignedFloats(floats), precision }, capacityOf(batch));
    assert.throws(() => train(length), {
      code: 'ERR_LOOM_NATIVE',
      message: 'packed: long enough for inference only',
    });
    assert.throws(() => train(length - 1), {
      code: 'ERR_LOOM_NATIVE',
      message: 'packed: shorter than packedFloats(shape)',
    });
  }
});

test('native inference: int8 weights take no f32 matrices, neither flat nor packed', () => {
  const parity = loadParityCase('default');
  const int8 = quantizeWeights(collectWeights(parity.weights, parity.table), parity.table);
  const vectors = parity.table.parameters.filter((p) => !p.isMatrix).reduce((sum, p) => sum + p.length, 0);
  const rows = parity.table.parameters.filter((p) => p.isMatrix).reduce((sum, p) => sum + p.shape[0], 0);
  const before = process.memoryUsage().arrayBuffers;
  const engine = createNativeInference(parity.shape, int8);
  const taken = process.memoryUsage().arrayBuffers - before;
  // Beside vectors and scales: alignment and the table of offsets.
  assert.ok(taken < 4 * (vectors + rows) + 4096, `${taken} bytes`);
  assert.ok(engine.createSession().append(TOKENS).every(Number.isFinite));
});

test('native inference: a model without f32 matrices refuses what reads them, and int8 weights that aren’t its own', () => {
  const addon = loadAddon()!;
  const flat = alignedFloats(table.flatLength);
  const offsets = Int32Array.from(table.parameters, (p) => p.offset);
  const [model, other] = [0, 1].map(() => addon.createModel('', shapeNumbers(shape), offsets, flat, null, false));
  const matrices = table.parameters.filter((p) => p.isMatrix).map(({ length }) => new Int8Array(length));
  const scales = new Float32Array(shape.vocabSize + 9 * shape.nLayer * shape.nEmbd);
  const quantized = addon.createQuantized(model, matrices, scales);
  const noMatrices = 'the model has no float32 matrices';
  const misfit = "the quantised weights don't fit the model";
  const cases: [() => unknown, string][] = [
    [() => addon.pack(model, 0, 1), noMatrices],
    [() => addon.createTraining(model, 1, 1, 1, false), noMatrices],
    [() => addon.update(model, 0, 1, flat, flat, flat, new Float32Array(10)), noMatrices],
    [() => addon.createSession(model, null), noMatrices],
    [() => addon.createSession(other, quantized), "the int8 weights are another model's"],
    [() => addon.createQuantized(model, matrices, scales.subarray(1)), misfit],
    [() => addon.createQuantized(model, [matrices[0].subarray(1), ...matrices.slice(1)], scales), misfit],
    [() => addon.createQuantized(model, matrices.slice(1), scales), misfit],
    [
      () => addon.createQuantized(model, matrices.slice(0, -1), scales),
      'a matrix is not a typed array of the expected type',
    ],
  ];
  for (const [call, message] of cases) assert.throws(call, { code: 'ERR_LOOM_NATIVE', message });
  assert.ok(addon.createSession(model, quantized));
});
