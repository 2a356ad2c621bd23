// What is the native engine's own, beside the contract: its instruction sets against each other, and batches that it refuses.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadAddon } from '../../src/addon/addon.js';
import type { PackedBatch } from '../../src/engine/engine.js';
import { createNativeTraining, nativePackedFloats } from '../../src/engine/native.js';
import {
  alignedFloats,
  capacityOf,
  loadParityCase,
  type ParityCase,
  packSamples,
  relativeError,
} from '../helpers/parity.js';

function createTraining({ shape, table, weights, batch }: ParityCase, isa: string) {
  const packed = alignedFloats(nativePackedFloats(shape));
  const engine = createNativeTraining({ shape, table, weights, packed, isa }, capacityOf(batch));
  engine.refresh(0, 1);
  return engine;
}

function gradient(parity: ParityCase, isa: string): Float32Array {
  const engine = createTraining(parity, isa);
  const grads = alignedFloats(parity.table.flatLength);
  engine.forward(parity.batch, { rate: 0, seed: 0, step: 0 });
  engine.backward(grads);
  return grads;
}

test('native: all instruction sets agree on the gradient within 1e-6', () => {
  const parity = loadParityCase('tiny');
  const [first, ...others] = loadAddon()!
    .isaVariants()
    .map((isa) => gradient(parity, isa));
  for (const other of others) assert.ok(relativeError(other, first) < 1e-6);
});

test('native: bad micro-batches are refused with the rule they break', () => {
  const parity = loadParityCase('tiny');
  const engine = createTraining(parity, 'plain');
  const { batch } = parity;
  const cases: [Partial<PackedBatch>, RegExp][] = [
    [{ tokens: batch.tokens.map((t, i) => (i === 3 ? 61 : t)) }, /a token id is outside the vocabulary/],
    [{ targets: batch.targets.map((t, i) => (i === 3 ? -1 : t)) }, /a target is outside the vocabulary/],
    [{ scoredRows: batch.scoredRows.slice().reverse() }, /scoredRows must ascend/],
    [{ seqStarts: batch.seqStarts.map((s, i) => (i === 1 ? 0 : s)) }, /a sequence is empty or longer than seqLen/],
    [{ weights: batch.weights.subarray(1) }, /don't fit each other/],
    [packSamples([...parity.samples, ...parity.samples]), /larger than the scratch/],
  ];
  for (const [change, message] of cases) {
    assert.throws(() => engine.loss({ ...batch, ...change }), { code: 'ERR_LOOM_NATIVE', message });
  }
  assert.throws(() => engine.backward(alignedFloats(parity.table.flatLength)), /needs a forward/);
});
