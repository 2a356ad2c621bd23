// Two micro-batches in one pass: losses and gradient to the bit what two passes give.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadAddon } from '../../src/addon/addon.js';
import type { Precision } from '../../src/engine/engine.js';
import { createNativeTraining, nativePackedFloats } from '../../src/engine/native.js';
import { alignedFloats, capacityOf, loadParityCase, packSamples } from '../helpers/parity.js';

const variants = loadAddon()!.isaVariants();

function create(size: 'tiny' | 'default', isa: string, precision: Precision) {
  const parity = loadParityCase(size);
  const { shape, table, weights, batch } = parity;
  const packed = alignedFloats(nativePackedFloats(shape));
  const capacity = { ...capacityOf(batch), pairs: true };
  const engine = createNativeTraining({ shape, table, weights, packed, isa, precision }, capacity);
  engine.refresh(0, 1);
  return { ...parity, engine };
}

function bytesOf(floats: Float32Array): Buffer {
  return Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength);
}

for (const isa of variants) {
  for (const precision of ['fp32', 'bf16'] as const) {
    for (const size of ['tiny', 'default'] as const) {
      test(`pairs: ${size} model, ${isa} ${precision}: a pair gives the bits of its two micro-batches`, () => {
        const { engine, samples, table } = create(size, isa, precision);
        for (const rate of [0, 0.2]) {
          const dropout = { rate, seed: 5, step: 2 };
          for (const sequences of [1, 2, 3]) {
            const four = samples.slice(0, 4);
            const whole = packSamples(four);
            const parts = [four.slice(0, sequences), four.slice(sequences)].map((part, i) => ({
              ...packSamples(part),
              sampleKeys: i === 0 ? whole.sampleKeys.subarray(0, sequences) : whole.sampleKeys.subarray(sequences),
            }));
            const weights = [parts[0].weights.length, parts[1].weights.length];
            parts[0].weights.fill(0.01);
            parts[1].weights.fill(0.02);
            whole.weights.fill(0.01, 0, weights[0]).fill(0.02, weights[0]);
            const [first, second, both] = [0, 1, 2].map(() => alignedFloats(table.flatLength));
            const losses = new Float64Array(2);
            const expected = parts.map((part, i) => {
              const loss = engine.forward(part, dropout);
              engine.backward([first, second][i]);
              return loss;
            });
            engine.pairs!.forward(whole, sequences, dropout, losses);
            engine.backward(both);
            assert.deepEqual([...losses], expected);
            for (let i = 0; i < both.length; i++) first[i] += second[i];
            assert.ok(bytesOf(both).equals(bytesOf(first)), `${sequences} sequences first`);
          }
        }
      });
    }
  }
}

test('pairs: more rows than the kernels take, and scratch without room for pairs, are refused', () => {
  const { engine, samples } = create('tiny', variants[0], 'fp32');
  const none = { rate: 0, seed: 0, step: 0 };
  const batch = packSamples(samples);
  assert.throws(() => engine.pairs!.forward(batch, 0, none, new Float64Array(2)), /needs a sequence/);
  assert.throws(() => engine.pairs!.forward(batch, 1, none, new Float64Array(1)), /losses: shorter/);
  const { shape, table, weights } = loadParityCase('tiny');
  const packed = alignedFloats(nativePackedFloats(shape));
  const single = createNativeTraining({ shape, table, weights, packed }, capacityOf(batch));
  assert.throws(() => single.pairs!.forward(batch, 1, none, new Float64Array(2)), /not made for a pair/);
});
