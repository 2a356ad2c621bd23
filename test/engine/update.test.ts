import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadAddon } from '../../src/addon/addon.js';
import { createNativeTraining, nativePackedFloats } from '../../src/engine/native.js';
import { adamwStep } from '../../src/optim/adamw.js';
import { createOptimizerKernels } from '../../src/optim/kernels.js';
import { alignedFloats, capacityOf, loadParityCase } from '../helpers/parity.js';

function bytesOf(floats: Float32Array): Buffer {
  return Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength);
}

/** A state of the tiny model with its gradient; deterministic, the moments not zero. */
function createState(isa: string, precision: 'fp32' | 'bf16') {
  const { shape, table, weights, batch } = loadParityCase('tiny');
  const packed = alignedFloats(nativePackedFloats(shape));
  const engine = createNativeTraining({ shape, table, weights, packed, isa, precision }, capacityOf(batch));
  const [grads, m, v] = [0, 1, 2].map(() => alignedFloats(table.flatLength));
  engine.refresh(0, 1);
  engine.forward(batch, { rate: 0, seed: 0, step: 0 });
  engine.backward(grads);
  for (let i = 0; i < m.length; i++) {
    m[i] = 0.3 * grads[i];
    v[i] = 0.1 * grads[i] * grads[i];
  }
  return { engine, weights, packed, grads, m, v };
}

for (const isa of loadAddon()!.isaVariants()) {
  for (const precision of ['fp32', 'bf16'] as const) {
    test(`update: ${isa} ${precision}: in one pass gives the bits of AdamW and packing, whoever does which share`, () => {
      const step = adamwStep({ lr: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 }, 3, 0.5);
      const apart = createState(isa, precision);
      createOptimizerKernels().adamw(apart.weights, apart.grads, apart.m, apart.v, 0, apart.weights.length, step);
      apart.engine.refresh(0, 1);
      for (const ranks of [1, 2, 5]) {
        const fused = createState(isa, precision);
        fused.packed.fill(Number.NaN);
        for (let rank = 0; rank < ranks; rank++) {
          fused.engine.update!(rank, ranks, fused.grads, fused.m, fused.v, step);
        }
        for (const name of ['weights', 'm', 'v'] as const) {
          assert.ok(bytesOf(fused[name]).equals(bytesOf(apart[name])), `${name}, ${ranks} ranks`);
        }
        // What no kernel reads isn't written either.
        const isWritten = (x: number) => !Number.isNaN(x);
        assert.deepEqual(
          fused.packed.filter(isWritten),
          apart.packed.filter((_, i) => isWritten(fused.packed[i])),
        );
        assert.ok(fused.packed.filter(isWritten).length >= apart.packed.filter((x) => x !== 0).length);
      }
    });
  }
}
