// What memory native inference takes: weights where they lie, and no panels that only training reads.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNativeTraining, nativePackedFloats } from '../../src/engine/native.js';
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
  const length = nativePackedFloats(shape, 'inference');
  assert.ok(length < 0.6 * nativePackedFloats(shape), `${length} of ${nativePackedFloats(shape)}`);
  assert.throws(
    () => createNativeTraining({ shape, table, weights, packed: alignedFloats(length) }, capacityOf(batch)),
    { code: 'ERR_LOOM_NATIVE', message: 'packed: long enough for inference only' },
  );
  assert.throws(
    () => createNativeTraining({ shape, table, weights, packed: alignedFloats(length - 1) }, capacityOf(batch)),
    { code: 'ERR_LOOM_NATIVE', message: 'packed: shorter than packedFloats(shape)' },
  );
});
