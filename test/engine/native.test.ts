import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadAddon } from '../../src/addon/addon.js';
import type { PackedBatch } from '../../src/engine/engine.js';
import { createNativeTraining, nativePackedFloats } from '../../src/engine/native.js';
import { createNativeInference } from '../../src/engine/native-inference.js';
import { createParameterTable } from '../../src/model/parameters.js';
import { adamwStep } from '../../src/optim/adamw.js';
import { createOptimizerKernels } from '../../src/optim/kernels.js';
import { clipFactor, gradientNorm, NORM_BLOCK } from '../../src/optim/reduce.js';
import {
  alignedFloats,
  capacityOf,
  loadParityCase,
  type ParityCase,
  packSamples,
  readTensors,
  relativeError,
} from '../helpers/parity.js';

const NO_DROPOUT = { rate: 0, seed: 0, step: 0 };
const variants = loadAddon()!.isaVariants();

function createTraining(parity: ParityCase, isa: string, batch = parity.batch) {
  const { shape, table, weights } = parity;
  const packed = alignedFloats(nativePackedFloats(shape));
  const engine = createNativeTraining({ shape, table, weights, packed, isa }, capacityOf(batch));
  engine.refresh(0, 1);
  return engine;
}

/** Gradient of the batch's loss, by one forward and backward. */
function gradient(parity: ParityCase, isa: string, batch = parity.batch, dropout = NO_DROPOUT) {
  const engine = createTraining(parity, isa, batch);
  const grads = alignedFloats(parity.table.flatLength);
  const loss = engine.forward(batch, dropout);
  engine.backward(grads);
  return { loss, grads, engine };
}

for (const isa of variants) {
  describe(`native ${isa}`, () => {
    test('native: every gradient of the tiny model is within 1e-5 relative L2 of PyTorch float64', () => {
      const parity = loadParityCase('tiny');
      const { grads } = gradient(parity, isa);
      const expected = readTensors('tiny.grads');
      for (const { name, offset, length } of parity.table.parameters) {
        const error = relativeError(grads.subarray(offset, offset + length), expected.get(name)!);
        assert.ok(error < 1e-5, `${name}: relative error ${error}`);
      }
    });

    for (const size of ['tiny', 'default'] as const) {
      test(`native: five AdamW steps of the ${size} model follow PyTorch's losses and norms within 1e-5`, () => {
        const parity = loadParityCase(size);
        const { adamw, steps, final_param_norm_per_tensor, final_first8_per_tensor } = parity.expected;
        const { weights, table, batch } = parity;
        const engine = createTraining(parity, isa);
        const [grads, m, v] = [0, 1, 2].map(() => alignedFloats(table.flatLength));
        const optimizer = createOptimizerKernels();
        const squares = new Float64Array(Math.ceil(table.flatLength / NORM_BLOCK));
        steps.forEach((expected, i) => {
          const loss = engine.forward(batch, NO_DROPOUT);
          engine.backward(grads);
          optimizer.reduce(grads, 1, table.flatLength, 0, table.flatLength, squares);
          const norm = gradientNorm(squares);
          assert.ok(Math.abs(loss - expected.loss) < 1e-5, `step ${i + 1}: loss ${loss}, expected ${expected.loss}`);
          // f32 rounding of the weights grows over the steps; 1e-4 is ten times what was seen.
          assert.ok(Math.abs(norm / expected.grad_norm - 1) < 1e-4, `step ${i + 1}: norm ${norm}`);
          const settings = { ...adamw, weightDecay: adamw.weight_decay };
          const step = adamwStep(settings, i + 1, clipFactor(norm, adamw.clip_norm));
          optimizer.adamw(weights, grads, m, v, 0, table.flatLength, step);
          engine.refresh(0, 1);
        });
        for (const { name, offset, length } of table.parameters) {
          const found = weights.subarray(offset, offset + length);
          const norm = Math.sqrt(found.reduce((sum, w) => sum + w * w, 0));
          assert.ok(Math.abs(norm / final_param_norm_per_tensor[name] - 1) < 1e-4, `${name}: norm ${norm}`);
          final_first8_per_tensor[name].forEach((w, i) => {
            // Adam moves a weight by up to lr whatever its gradient: where that is near 0, f32 noise decides. 2 % of lr.
            assert.ok(Math.abs(found[i] - w) < 2e-5, `${name}[${i}]: ${found[i]}, expected ${w}`);
          });
        }
      });
    }

    test('native: gradient norms of the default model match PyTorch per tensor within 1e-5', () => {
      const parity = loadParityCase('default');
      const { grads } = gradient(parity, isa);
      for (const { name, offset, length } of parity.table.parameters) {
        const tensor = grads.subarray(offset, offset + length);
        const norm = Math.sqrt(tensor.reduce((sum, g) => sum + g * g, 0));
        const expected = parity.expected.grad_norm_per_tensor[name];
        // The first layer's scores reach hundreds with these weights, and f32 rounds them to about 1e-5: what all rows of the
        // small norm1 gradient have in common cancels, that noise doesn't.
        const tolerance = name === 'blocks.0.norm1.weight' ? 3e-4 : 1e-5;
        assert.ok(Math.abs(norm / expected - 1) < tolerance, `${name}: ${norm}, expected ${expected}`);
        const first8 = parity.expected.grad_first8_per_tensor[name];
        // One element against the tensor's root mean square: sums of a thousand terms in f32.
        const typical = expected / Math.sqrt(length);
        first8.forEach((g, i) => {
          assert.ok(Math.abs(tensor[i] - g) < 3e-4 * typical, `${name}[${i}]: ${tensor[i]}, expected ${g}`);
        });
      }
    });

    test('native: the loss of each sample alone is PyTorch’s', () => {
      const parity = loadParityCase('tiny');
      const engine = createTraining(parity, isa);
      parity.samples.forEach((sample, i) => {
        const loss = engine.loss(packSamples([sample]));
        assert.ok(Math.abs(loss - parity.expected.per_sample_loss[i]) < 1e-5, `sample ${i}: ${loss}`);
      });
    });

    test('native: backward agrees with finite differences of the loss in every tensor, with dropout too', () => {
      for (const dropout of [NO_DROPOUT, { rate: 0.3, seed: 7, step: 3 }]) {
        const parity = loadParityCase('tiny');
        const { grads, engine } = gradient(parity, isa, parity.batch, dropout);
        for (const { name, offset, length } of parity.table.parameters) {
          // Along the gradient's own direction the slope is its norm: one difference checks the whole tensor.
          const slice = grads.slice(offset, offset + length);
          const norm = Math.sqrt(slice.reduce((sum, g) => sum + g * g, 0));
          const moved = (amount: number) => {
            const before = parity.weights.slice(offset, offset + length);
            for (let i = 0; i < length; i++) parity.weights[offset + i] += (amount * slice[i]) / norm;
            engine.refresh(0, 1);
            const loss = engine.forward(parity.batch, dropout);
            parity.weights.set(before, offset);
            return loss;
          };
          const h = 1e-2;
          const slope = (moved(h) - moved(-h)) / (2 * h);
          // f32 losses of about 4 are good to 1e-6, so the slope to about 1e-4, beside the curvature h^2.
          const tolerance = 5e-4 + 5e-3 * norm;
          assert.ok(Math.abs(slope - norm) < tolerance, `${name}: slope ${slope}, gradient norm ${norm}`);
        }
      }
    });

    test('native: splitting a batch into micro-batches gives the same gradient, with dropout too', () => {
      const parity = loadParityCase('tiny');
      for (const dropout of [NO_DROPOUT, { rate: 0.2, seed: 1, step: 9 }]) {
        const whole = gradient(parity, isa, parity.batch, dropout).grads;
        const sum = new Float64Array(whole.length);
        parity.samples.forEach((sample, key) => {
          const alone = packSamples([sample]);
          const weights = new Float32Array(alone.targets.length).fill(parity.batch.weights[0]);
          const batch: PackedBatch = { ...alone, sampleKeys: Int32Array.of(key), weights };
          gradient(parity, isa, batch, dropout).grads.forEach((g, i) => {
            sum[i] += g;
          });
        });
        const error = relativeError(sum, whole);
        assert.ok(error < 1e-6, `relative error ${error}`);
      }
    });

    test('native: a sample weighted by 3 has the gradient of three copies', () => {
      const parity = loadParityCase('tiny');
      const [a, b] = parity.samples;
      const copies = packSamples([a, a, a, b]);
      const merged = packSamples([a, b]);
      const scored = copies.targets.length;
      const isFirst = (i: number) => merged.scoredRows[i] < merged.seqStarts[1];
      const weights = Float32Array.from(merged.targets, (_, i) => (isFirst(i) ? 3 : 1) / scored);
      const expected = gradient(parity, isa, copies);
      const found = gradient(parity, isa, { ...merged, weights });
      assert.ok(Math.abs(found.loss - expected.loss) < 1e-6);
      assert.ok(relativeError(found.grads, expected.grads) < 1e-6);
    });

    test('native: prefill, token by token and in pieces give PyTorch’s logits', () => {
      const parity = loadParityCase('tiny');
      const V = parity.shape.vocabSize;
      const logits = [...readTensors('tiny.logits').values()];
      const engine = createNativeInference(parity.shape, readNamedWeights(parity), isa);
      parity.samples.forEach(({ ids }, s) => {
        const session = engine.createSession();
        const check = (found: Float32Array, row: number) => {
          for (let v = 0; v < V; v++) {
            const expected = logits[s][row * V + v];
            assert.ok(
              Math.abs(found[v] - expected) < 1e-5,
              `sample ${s}, row ${row}: ${found[v]}, expected ${expected}`,
            );
          }
        };
        for (let i = 0; i < ids.length; i++) check(session.append(Int32Array.of(ids[i])), i);
        session.truncate(2);
        check(session.append(Int32Array.from(ids.slice(2))), ids.length - 1);
        session.truncate(0);
        check(session.append(Int32Array.from(ids)), ids.length - 1);
      });
    });

    test('native: int8 weights give the logits of the same weights in f32, up to the activations’ rounding', () => {
      const parity = loadParityCase('tiny');
      const named = readNamedWeights(parity);
      const int8 = new Map(
        [...named].map(([name, tensor]) => [
          name,
          tensor.shape.length === 2 ? toInt8(tensor.data, tensor.shape) : tensor,
        ]),
      );
      const restored = new Map(
        [...int8].map(([name, tensor]) => [name, tensor.kind === 'int8' ? fromInt8(tensor) : tensor]),
      );
      const ids = Int32Array.from(parity.samples[3].ids);
      const found = createNativeInference(parity.shape, int8, isa).createSession().append(ids);
      const expected = createNativeInference(parity.shape, restored, isa).createSession().append(ids);
      // Activations are rounded to 1/127 of the row's largest: about 0.4 % a layer.
      const error = relativeError(found, expected);
      assert.ok(error > 0 && error < 0.02, `relative error ${error}`);
    });
  });
}

test('native: all instruction sets agree on the gradient within 1e-6', () => {
  const parity = loadParityCase('tiny');
  const [first, ...others] = variants.map((isa) => gradient(parity, isa).grads);
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

function readNamedWeights({ shape }: ParityCase) {
  const tensors = readTensors('tiny.weights');
  return new Map(
    createParameterTable(shape).parameters.map((p) => [
      p.name,
      { kind: 'f32' as const, shape: p.shape, data: tensors.get(p.name)! },
    ]),
  );
}

function toInt8(data: Float32Array, shape: readonly number[]) {
  const [rows, columns] = shape;
  const scales = new Float32Array(rows);
  const bytes = new Int8Array(data.length);
  for (let r = 0; r < rows; r++) {
    const row = data.subarray(r * columns, (r + 1) * columns);
    scales[r] = Math.max(...row.map(Math.abs)) / 127;
    row.forEach((w, c) => {
      bytes[r * columns + c] = Math.round(w / scales[r]);
    });
  }
  return { kind: 'int8' as const, shape, data: bytes, scales };
}

function fromInt8({ data, scales, shape }: { data: Int8Array; scales: Float32Array; shape: readonly number[] }) {
  return { kind: 'f32' as const, shape, data: Float32Array.from(data, (b, i) => b * scales[Math.floor(i / shape[1])]) };
}
