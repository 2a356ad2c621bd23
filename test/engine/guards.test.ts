// Guard zones around everything that native kernels write, at sizes where vectors don't fit: 1, odd, one below and above a
// vector's width, the longest sequence, a scratch that is exactly full. The torture run repeats this under AddressSanitizer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { loadAddon } from '../../src/addon/addon.js';
import type { PackedBatch } from '../../src/engine/engine.js';
import { createNativeModel, createNativeTraining, nativePackedFloats } from '../../src/engine/native.js';
import { createParameterTable } from '../../src/model/parameters.js';
import type { ModelShape } from '../../src/model/shape.js';
import { adamwStep } from '../../src/optim/adamw.js';
import { NORM_BLOCK } from '../../src/optim/reduce.js';
import { createRandom } from '../../src/random.js';
import { capacityOf, packSamples, relativeError } from '../helpers/parity.js';

/** Vectors have 4, 8 or 16 floats, GEMM panels up to 32 columns. */
const SHAPES: [nLayer: number, nHead: number, nEmbd: number, vocabSize: number, seqLen: number][] = [
  [1, 1, 2, 1, 1],
  [1, 1, 2, 3, 5],
  [2, 3, 6, 7, 3],
  [1, 1, 14, 15, 15],
  [1, 2, 16, 16, 16],
  [1, 3, 18, 17, 17],
  [2, 1, 30, 31, 31],
  [1, 2, 32, 32, 32],
  [1, 1, 34, 33, 33],
  [1, 2, 36, 65, 64],
];
const GUARD_FLOATS = 32;
const GUARD_VALUE = 12345.678;
const variants = loadAddon()!.isaVariants();

interface Guarded<T extends Float32Array | Float64Array> {
  readonly values: T;
  /** Throws when a float around the values has changed. */
  check(what: string): void;
}

function guarded(length: number): Guarded<Float32Array> {
  const bytes = new Uint8Array(4 * (length + 2 * GUARD_FLOATS) + 64);
  const gap = loadAddon()!.alignmentGap(bytes);
  const all = new Float32Array(bytes.buffer, gap, length + 2 * GUARD_FLOATS).fill(GUARD_VALUE);
  return withCheck(all, all.subarray(GUARD_FLOATS, GUARD_FLOATS + length).fill(0));
}

function guardedDoubles(length: number): Guarded<Float64Array> {
  const all = new Float64Array(length + 2 * GUARD_FLOATS).fill(GUARD_VALUE);
  return withCheck(all, all.subarray(GUARD_FLOATS, GUARD_FLOATS + length).fill(0));
}

function withCheck<T extends Float32Array | Float64Array>(all: Float32Array | Float64Array, values: T): Guarded<T> {
  const expected = all[0];
  return {
    values,
    check(what) {
      for (let i = 0; i < GUARD_FLOATS; i++) {
        assert.equal(all[i], expected, `${what}: ${GUARD_FLOATS - i} before its beginning`);
        assert.equal(all[all.length - 1 - i], expected, `${what}: ${GUARD_FLOATS - 1 - i} behind its end`);
      }
    },
  };
}

/** Sequences of length 1, of the longest, and between; every row of the longest is scored. */
function batchFor({ vocabSize, seqLen }: ModelShape, seed: number): PackedBatch {
  const random = createRandom(seed);
  const lengths = [seqLen, 1, Math.max(1, seqLen - 1), seqLen];
  const id = () => uniformInt(random, 0, vocabSize - 1);
  const samples = lengths.map((length, i) => {
    const ids = Array.from({ length }, id);
    return { ids, targets: ids.map((_, at) => (i === 0 || at === length - 1 ? id() : -1)) };
  });
  return packSamples(samples);
}

function fill(values: Float32Array, seed: number): void {
  const random = createRandom(seed);
  for (let i = 0; i < values.length; i++) values[i] = uniformFloat64(random) - 0.5;
}

for (const [nLayer, nHead, nEmbd, vocabSize, seqLen] of SHAPES) {
  const shape = { nLayer, nHead, nEmbd, vocabSize, seqLen };
  const name = `${nLayer} layers, ${nHead} heads, ${nEmbd} channels, ${vocabSize} tokens, ${seqLen} long`;

  test(`guards: ${name}: kernels write where they should and nowhere else, and agree`, () => {
    const batch = batchFor(shape, 7);
    const table = createParameterTable(shape);
    const results = variants.map((isa) => {
      const weights = guarded(table.flatLength);
      fill(weights.values, 3);
      const before = weights.values.slice();
      const packed = guarded(nativePackedFloats(shape));
      const buffers = { shape, table, weights: weights.values, packed: packed.values, isa };
      const engine = createNativeTraining(buffers, capacityOf(batch));
      const ranks = 3;
      for (let rank = 0; rank < ranks; rank++) engine.refresh(rank, ranks);
      packed.check('packed');
      const grads = guarded(table.flatLength);
      const loss = engine.forward(batch, { rate: 0.1, seed: 1, step: 1 });
      engine.backward(grads.values);
      grads.check('grads');
      weights.check('weights');
      assert.deepEqual(weights.values, before, 'weights are only read');

      const model = createNativeModel(buffers);
      const addon = loadAddon()!;
      const session = addon.createSession(model, null);
      const logits = guarded(vocabSize);
      // All at once to the limit, then the last again alone, then in pieces.
      const ids = batch.tokens.slice(0, seqLen);
      addon.append(session, 0, ids, logits.values);
      addon.append(session, seqLen - 1, ids.slice(-1), logits.values);
      for (let i = 0; i < seqLen; i += 3) addon.append(session, i, ids.slice(i, i + 3), logits.values);
      logits.check('logits');
      assert.throws(() => addon.append(session, seqLen, ids.slice(0, 1), logits.values), { code: 'ERR_LOOM_NATIVE' });
      packed.check('packed');
      return { loss, grads: grads.values.slice(), logits: logits.values.slice() };
    });
    const [first, ...others] = results;
    assert.ok(Number.isFinite(first.loss) && first.grads.every(Number.isFinite) && first.logits.every(Number.isFinite));
    for (const other of others) {
      assert.ok(Math.abs(other.loss - first.loss) < 1e-5, `loss ${other.loss}, ${first.loss}`);
      if (vocabSize > 1) assert.ok(relativeError(other.grads, first.grads) < 1e-5);
      assert.ok(relativeError(other.logits, first.logits) < 1e-5);
    }
  });
}

test('guards: int8 weights at sizes that fit no vector', () => {
  const addon = loadAddon()!;
  for (const [nLayer, nHead, nEmbd, vocabSize, seqLen] of SHAPES) {
    const shape = { nLayer, nHead, nEmbd, vocabSize, seqLen };
    const table = createParameterTable(shape);
    const results = variants.map((isa) => {
      const weights = guarded(table.flatLength);
      fill(weights.values, 5);
      const packed = guarded(nativePackedFloats(shape));
      const model = createNativeModel({ shape, table, weights: weights.values, packed: packed.values, isa });
      const matrices = table.parameters.filter((p) => p.isMatrix);
      const bytes = matrices.map(({ offset, length }) =>
        Int8Array.from({ length }, (_, i) => (((offset + i) * 37) % 255) - 127),
      );
      const scales = new Float32Array(matrices.reduce((rows, p) => rows + p.shape[0], 0)).fill(0.01);
      const session = addon.createSession(model, addon.createQuantized(model, bytes, scales));
      const logits = guarded(vocabSize);
      const ids = Int32Array.from({ length: seqLen }, (_, i) => i % vocabSize);
      addon.append(session, 0, ids, logits.values);
      for (let i = 0; i < seqLen; i++) addon.append(session, i, ids.slice(i, i + 1), logits.values);
      logits.check('logits');
      packed.check('packed');
      return logits.values.slice();
    });
    for (const other of results.slice(1)) assert.ok(relativeError(other, results[0]) < 1e-4, `${nEmbd} channels`);
  }
});

test('guards: reduce and AdamW touch their range alone, whole blocks or a last part of one', () => {
  const addon = loadAddon()!;
  for (const length of [1, 7, 15, 17, NORM_BLOCK - 1, NORM_BLOCK, NORM_BLOCK + 1]) {
    for (const slots of [1, 2, 3, 5]) {
      const grads = guarded(slots * length);
      fill(grads.values, slots);
      const others = grads.values.slice(length);
      const squares = guardedDoubles(Math.ceil(length / NORM_BLOCK));
      addon.reduce(grads.values, slots, length, 0, length, NORM_BLOCK, squares.values);
      grads.check(`grads of ${length} in ${slots} slots`);
      squares.check('squares');
      assert.equal(others.length, (slots - 1) * length);
    }
    const [weights, m, v] = [guarded(length), guarded(length), guarded(length)];
    const grads = guarded(length);
    fill(grads.values, 9);
    const settings = { lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1 };
    const begin = length >> 1;
    addon.adamw(weights.values, grads.values, m.values, v.values, begin, length, adamwStep(settings, 1, 1));
    for (const [what, array] of Object.entries({ weights, m, v })) {
      array.check(`${what} of ${length}`);
      assert.ok(
        array.values.subarray(0, begin).every((value) => value === 0),
        `${what} before the range`,
      );
      assert.ok(
        array.values.subarray(begin).every((value) => value !== 0),
        `${what} in the range`,
      );
    }
  }
});
