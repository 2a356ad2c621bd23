// bfloat16 training: on a processor without the instructions the same sums are computed in another way, so every machine tests it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadAddon } from '../../src/addon/addon.js';
import type { Precision } from '../../src/engine/engine.js';
import { createNativeTraining, nativePackedFloats } from '../../src/engine/native.js';
import { createLiveNativeInference, createNativeInference } from '../../src/engine/native-inference.js';
import { type EngineSelection, inOtherPrecision, isEmulated, selectEngine } from '../../src/engine/select.js';
import { EngineError } from '../../src/errors.js';
import {
  alignedFloats,
  capacityOf,
  cosine,
  loadParityCase,
  namedWeights,
  type ParityCase,
  packSamples,
  relativeError,
} from '../helpers/parity.js';
import { runToEnd, temporaryFolder, testInputs } from '../helpers/run.js';

const variants = loadAddon()!.isaVariants();
const DROPOUT = { rate: 0.1, seed: 3, step: 5 };

function create({ shape, table, weights, batch }: ParityCase, isa: string, precision: Precision) {
  const packed = alignedFloats(nativePackedFloats(shape, 'training', precision));
  const buffers = { shape, table, weights, packed, isa, precision };
  const engine = createNativeTraining(buffers, capacityOf(batch));
  engine.refresh(0, 1);
  return { engine, buffers };
}

function gradient(parity: ParityCase, isa: string, precision: Precision) {
  const { engine } = create(parity, isa, precision);
  const grads = alignedFloats(parity.table.flatLength);
  const loss = engine.forward(parity.batch, DROPOUT);
  engine.backward(grads);
  return { loss, grads };
}

for (const isa of variants) {
  for (const size of ['tiny', 'default'] as const) {
    test(`bf16: with ${isa} the ${size} model's gradient points where fp32's does, but isn't the same`, () => {
      const parity = loadParityCase(size);
      const [fp32, bf16] = (['fp32', 'bf16'] as const).map((precision) => gradient(parity, isa, precision));
      const error = relativeError(bf16.grads, fp32.grads);
      assert.ok(error > 1e-4 && error < 0.02, `relative error ${error}`);
      assert.ok(cosine(bf16.grads, fp32.grads) > 0.9998);
      assert.ok(Math.abs(bf16.loss / fp32.loss - 1) < 5e-3, `loss ${bf16.loss}, ${fp32.loss} in fp32`);
      assert.notEqual(bf16.loss, fp32.loss);
    });
  }
}

test('bf16: all instruction sets agree far more closely with each other than with fp32', () => {
  const parity = loadParityCase('tiny');
  const [first, ...others] = variants.map((isa) => gradient(parity, isa, 'bf16').grads);
  for (const other of others) assert.ok(relativeError(other, first) < 2e-3, `${relativeError(other, first)}`);
});

test('bf16: a sequence gives the same loss to the bit alone and among others', () => {
  const parity = loadParityCase('tiny');
  const { engine } = create(parity, variants[0], 'bf16');
  const alone = parity.samples.map((sample) => engine.loss(packSamples([sample])));
  const [first, second] = parity.samples;
  const both = engine.loss(packSamples([first, second]));
  const [n, m] = [first, second].map(({ targets }) => targets.filter((t) => t >= 0).length);
  assert.ok(Math.abs(both - (alone[0] * n + alone[1] * m) / (n + m)) < 1e-6);
});

test('bf16: live answers come from the packed bfloat16 weights and are close to fp32’s', () => {
  const parity = loadParityCase('tiny');
  const { buffers } = create(parity, variants[0], 'bf16');
  const ids = Int32Array.from(parity.samples[3].ids);
  const exact = createNativeInference(parity.shape, namedWeights(parity), variants[0]);
  const live = createLiveNativeInference(buffers);
  const expected = Float32Array.from(exact.createSession().append(ids));
  const session = live.createSession();
  const prefilled = Float32Array.from(session.append(ids));
  session.truncate(0);
  const oneByOne = Array.from(ids, (id) => Float32Array.from(session.append(Int32Array.of(id)))).at(-1)!;
  for (const logits of [prefilled, oneByOne]) {
    const error = relativeError(logits, expected);
    assert.ok(error > 0 && error < 0.02, `relative error ${error}`);
  }
});

test('bf16: 1, 2 and 3 workers write the same weights to the bit', async () => {
  const weights: Buffer[] = [];
  for (const workers of [1, 2, 3]) {
    const saveDir = temporaryFolder();
    const inputs = testInputs(saveDir, { workers, model: { dropout: 0.1 }, training: { max_steps: 12 } });
    await runToEnd({
      ...inputs,
      selection: { engine: 'native', isa: variants[0], precision: 'bf16', notice: null },
    });
    weights.push(readFileSync(join(saveDir, 'last/model.safetensors')));
  }
  assert.ok(weights[1].equals(weights[0]));
  assert.ok(weights[2].equals(weights[0]));
});

test('bf16: is taken where the processor has it, and refused elsewhere with what it needs and what to do', (t) => {
  if (variants.includes('avx512bf16')) {
    assert.deepEqual(selectEngine('auto', 'bf16'), {
      engine: 'native',
      isa: 'avx512bf16',
      precision: 'bf16',
      notice: null,
    });
  } else {
    assert.throws(() => selectEngine('auto', 'bf16'), {
      name: EngineError.name,
      message: /AVX512_BF16.*this one offers .*--precision fp32/s,
    });
  }
  assert.throws(() => selectEngine('tfjs', 'bf16'), /engine: tfjs computes in fp32/);
  assert.equal(selectEngine('auto', 'auto').precision, 'fp32');
  process.env.GPT_LOOM_EMULATE_BF16 = '1';
  t.after(() => delete process.env.GPT_LOOM_EMULATE_BF16);
  assert.equal(selectEngine('native', 'bf16').precision, 'bf16');
});

test('bf16: the other precision is that of the same engine, if the processor has it or emulation is asked for', (t) => {
  const native = (isa: string, precision: Precision): EngineSelection => ({
    engine: 'native',
    isa,
    precision,
    notice: null,
  });
  assert.deepEqual(inOtherPrecision(native('avx512bf16', 'fp32')), native('avx512bf16', 'bf16'));
  assert.deepEqual(inOtherPrecision(native('avx512bf16', 'bf16')), native('avx512bf16', 'fp32'));
  assert.equal(inOtherPrecision(native('avx2', 'fp32')), null);
  assert.equal(inOtherPrecision({ engine: 'tfjs', backend: 'wasm', precision: 'fp32', notice: null }), null);
  assert.deepEqual([native('avx512bf16', 'bf16'), native('avx2', 'bf16'), native('avx2', 'fp32')].map(isEmulated), [
    false,
    true,
    false,
  ]);
  process.env.GPT_LOOM_EMULATE_BF16 = '1';
  t.after(() => delete process.env.GPT_LOOM_EMULATE_BF16);
  const emulated = inOtherPrecision(native('avx2', 'fp32'));
  assert.equal(emulated?.precision, 'bf16');
  assert.match(emulated!.notice!, /emulated/);
});
