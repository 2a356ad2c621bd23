// What every engine must do, whatever computes it. One file per engine calls this with its own constructors, in a process of
// its own: TensorFlow.js has one backend a process.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { quantizeWeights } from '../../src/checkpoint/quantize.js';
import type { DropoutKey, InferenceEngine, PackedBatch, TrainingEngine } from '../../src/engine/engine.js';
import { logSumExp } from '../../src/engine/log-sum-exp.js';
import type { EngineSelection } from '../../src/engine/select.js';
import {
  createInferenceEngine,
  createTrainingEngine,
  describeEngine,
  packedFloats,
  prepareEngine,
} from '../../src/engine/select.js';
import type { FloatTensor, Int8Tensor, NamedWeights } from '../../src/model/weights.js';
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
import { assertSlope, normOf, slopeAlong } from './finite-differences.js';

const NO_DROPOUT: DropoutKey = { rate: 0, seed: 0, step: 0 };
const DROPOUT: DropoutKey = { rate: 0.3, seed: 7, step: 3 };

export interface ContractOptions {
  /** Steps of the default model (3.4 M parameters) to follow. A slow engine follows none, and is spared what else takes seconds. */
  readonly defaultModelSteps: number;
  /** Largest relative error of logits out of int8 weights against the same weights in f32. 0: the same bits. */
  readonly int8Error: number;
}

export function describeContract(selection: EngineSelection, options: ContractOptions): void {
  const { name: engineName, detail: backend } = describeEngine(selection);
  // Two instruction sets may have one name for people.
  const detail = selection.engine === 'native' ? selection.isa : backend;
  const claim = (text: string) => `${engineName} (${detail}): ${text}`;

  async function createTraining(parity: ParityCase, batch = parity.batch): Promise<TrainingEngine> {
    const { shape, table, weights } = parity;
    const packed = alignedFloats(packedFloats(selection, shape));
    const engine = await createTrainingEngine(selection, { shape, table, weights, packed }, capacityOf(batch));
    engine.refresh(0, 1);
    return engine;
  }

  /** Gradient of the batch's loss, by one forward and backward. */
  async function gradient(parity: ParityCase, { batch = parity.batch, dropout = NO_DROPOUT } = {}) {
    const engine = await createTraining(parity, batch);
    const grads = alignedFloats(parity.table.flatLength);
    const loss = engine.forward(batch, dropout);
    engine.backward(grads);
    return { loss, grads, engine };
  }

  const createInference = (parity: ParityCase, weights: NamedWeights): Promise<InferenceEngine> =>
    createInferenceEngine(selection, parity.shape, weights);

  describe(claim('contract'), () => {
    before(() => prepareEngine(selection));

    test(claim('every gradient of the tiny model is within 1e-5 relative L2 of PyTorch float64'), async () => {
      const parity = loadParityCase('tiny');
      const { grads } = await gradient(parity);
      const expected = readTensors('tiny.grads');
      for (const { name, offset, length } of parity.table.parameters) {
        const error = relativeError(grads.subarray(offset, offset + length), expected.get(name)!);
        assert.ok(error < 1e-5, `${name}: relative error ${error}`);
      }
    });

    for (const [size, count] of [
      ['tiny', 5],
      ['default', options.defaultModelSteps],
    ] as const) {
      if (count === 0) continue;
      test(claim(`${count} AdamW steps of the ${size} model follow PyTorch's losses and norms`), async () => {
        const parity = loadParityCase(size);
        const { adamw, steps, final_param_norm_per_tensor, final_first8_per_tensor } = parity.expected;
        const { weights, table, batch } = parity;
        const engine = await createTraining(parity);
        const [grads, m, v] = [0, 1, 2].map(() => alignedFloats(table.flatLength));
        const optimizer = createOptimizerKernels();
        const squares = new Float64Array(Math.ceil(table.flatLength / NORM_BLOCK));
        steps.slice(0, count).forEach((expected, i) => {
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
        // PyTorch's weights are those after all of its steps.
        if (count < steps.length) return;
        for (const { name, offset, length } of table.parameters) {
          const found = weights.subarray(offset, offset + length);
          const norm = normOf(found);
          assert.ok(Math.abs(norm / final_param_norm_per_tensor[name] - 1) < 1e-4, `${name}: norm ${norm}`);
          final_first8_per_tensor[name].forEach((w, i) => {
            // Adam moves a weight by up to lr whatever its gradient: where that is near 0, f32 noise decides. 2 % of lr.
            assert.ok(Math.abs(found[i] - w) < 2e-5, `${name}[${i}]: ${found[i]}, expected ${w}`);
          });
        }
      });
    }

    if (options.defaultModelSteps > 0)
      test(claim('gradient norms of the default model match PyTorch per tensor within 1e-5'), async () => {
        const parity = loadParityCase('default');
        const { grads } = await gradient(parity);
        for (const { name, offset, length } of parity.table.parameters) {
          const tensor = grads.subarray(offset, offset + length);
          const norm = normOf(tensor);
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

    test(claim('the loss of each sample alone is PyTorch’s, with and without a backward to come'), async () => {
      const parity = loadParityCase('tiny');
      const engine = await createTraining(parity);
      parity.samples.forEach((sample, i) => {
        const batch = packSamples([sample]);
        for (const loss of [engine.loss(batch), engine.forward(batch, NO_DROPOUT)]) {
          assert.ok(Math.abs(loss - parity.expected.per_sample_loss[i]) < 1e-5, `sample ${i}: ${loss}`);
        }
      });
    });

    test(claim('backward agrees with finite differences of the loss in every tensor, with dropout too'), async () => {
      for (const dropout of [NO_DROPOUT, DROPOUT]) {
        const parity = loadParityCase('tiny');
        const { grads, engine } = await gradient(parity, { dropout });
        const loss = () => (dropout.rate === 0 ? engine.loss(parity.batch) : engine.forward(parity.batch, dropout));
        const { parameters, flatLength } = parity.table;
        const whole = [{ name: 'all parameters', offset: 0, length: flatLength }];
        const isSpared = dropout.rate > 0 && options.defaultModelSteps === 0;
        for (const { name, offset, length } of isSpared ? whole : parameters) {
          const slope = slopeAlong(parity, engine, grads, offset, length, loss);
          assertSlope(name, slope, normOf(grads.subarray(offset, offset + length)));
        }
      }
    });

    test(claim('dropout follows from seed and step'), async () => {
      const parity = loadParityCase('tiny');
      const engine = await createTraining(parity);
      const loss = (dropout: DropoutKey) => engine.forward(parity.batch, dropout);
      assert.equal(loss(DROPOUT), loss({ ...DROPOUT }));
      const others = [NO_DROPOUT, { ...DROPOUT, step: 4 }, { ...DROPOUT, seed: 8 }, { ...DROPOUT, rate: 0.2 }].map(
        loss,
      );
      assert.equal(new Set([loss(DROPOUT), ...others]).size, 5);
    });

    test(claim('dropout reaches the embedding and both branches of every block'), async () => {
      const parity = loadParityCase('tiny');
      const engine = await createTraining(parity);
      // When everything is dropped, the residual stream is 0, all logits are 0, and each of the V tokens has probability 1 / V;
      // a site left out would let embedding or biases through.
      const loss = engine.forward(parity.batch, { rate: 0.9999999, seed: 1, step: 1 });
      assert.ok(Math.abs(loss - Math.log(parity.shape.vocabSize)) < 1e-5, `loss ${loss}`);
    });

    test(claim('splitting a batch into micro-batches gives the same gradient, with dropout too'), async () => {
      const parity = loadParityCase('tiny');
      for (const dropout of [NO_DROPOUT, DROPOUT]) {
        const whole = (await gradient(parity, { dropout })).grads;
        const sum = new Float64Array(whole.length);
        for (const [key, sample] of parity.samples.entries()) {
          const alone = packSamples([sample]);
          const weights = new Float32Array(alone.targets.length).fill(parity.batch.weights[0]);
          const batch: PackedBatch = { ...alone, sampleKeys: Int32Array.of(key), weights };
          (await gradient(parity, { batch, dropout })).grads.forEach((g, i) => {
            sum[i] += g;
          });
        }
        const error = relativeError(sum, whole);
        assert.ok(error < 2e-6, `relative error ${error}`);
      }
    });

    test(claim('a sample weighted by 3 has the gradient of three copies'), async () => {
      const parity = loadParityCase('tiny');
      const [a, b] = parity.samples;
      const copies = packSamples([a, a, a, b]);
      const merged = packSamples([a, b]);
      const isFirst = (i: number) => merged.scoredRows[i] < merged.seqStarts[1];
      const weights = Float32Array.from(merged.targets, (_, i) => (isFirst(i) ? 3 : 1) / copies.targets.length);
      const expected = await gradient(parity, { batch: copies });
      const found = await gradient(parity, { batch: { ...merged, weights } });
      assert.ok(Math.abs(found.loss - expected.loss) < 1e-6, `${found.loss}, ${expected.loss}`);
      assert.ok(relativeError(found.grads, expected.grads) < 2e-6);
    });

    test(claim('the same batch gives the same bits, overwrites every gradient and leaves the gaps alone'), async () => {
      const parity = loadParityCase('tiny');
      const { grads: first, engine } = await gradient(parity);
      const second = alignedFloats(parity.table.flatLength).fill(7);
      // A forward whose gradient nobody takes leaves nothing behind.
      engine.forward(parity.batch, DROPOUT);
      engine.forward(parity.batch, NO_DROPOUT);
      engine.backward(second);
      let end = 0;
      for (const { offset, length } of parity.table.parameters) {
        for (const gap of second.subarray(end, offset)) assert.equal(gap, 7);
        end = offset + length;
        assert.deepEqual(second.subarray(offset, end), first.subarray(offset, end));
      }
    });

    test(claim('backward is refused without a forward of its own'), async () => {
      const parity = loadParityCase('tiny');
      const { grads, engine } = await gradient(parity);
      assert.throws(() => engine.backward(grads), /needs a forward/);
    });

    test(claim('prefill, token by token and in pieces give PyTorch’s logits'), async () => {
      const parity = loadParityCase('tiny');
      const V = parity.shape.vocabSize;
      const logits = [...readTensors('tiny.logits').values()];
      const engine = await createInference(parity, namedWeights(parity));
      parity.samples.forEach(({ ids }, s) => {
        const session = engine.createSession();
        const check = (found: Float32Array, row: number) => {
          const expected = logits[s].subarray(row * V, (row + 1) * V);
          const worst = found.reduce((most, logit, v) => Math.max(most, Math.abs(logit - expected[v])), 0);
          assert.ok(worst < 1e-5, `sample ${s}, row ${row}: off by ${worst}`);
        };
        for (let i = 0; i < ids.length; i++) check(session.append(Int32Array.of(ids[i])), i);
        session.truncate(2);
        check(session.append(Int32Array.from(ids.slice(2))), ids.length - 1);
        session.truncate(0);
        check(session.append(Int32Array.from(ids)), ids.length - 1);
        assert.equal(session.length, ids.length);
      });
      engine.close();
    });

    test(
      claim('a session gives the logarithm of the sum of its logits’ exponentials, not finite where they are not'),
      async () => {
        const parity = loadParityCase('tiny');
        const engine = await createInference(parity, namedWeights(parity));
        const session = engine.createSession();
        assert.ok(Number.isNaN(session.logSumExp));
        for (const id of parity.samples[0].ids) {
          const logits = session.append(Int32Array.of(id));
          assert.ok(Math.abs(session.logSumExp - logSumExp(logits)) < 1e-6);
        }
        engine.close();
        const broken = namedWeights(parity);
        for (const { data } of broken.values()) data[0] = Number.NaN;
        const diverged = await createInference(parity, broken);
        const after = diverged.createSession();
        after.append(Int32Array.of(1));
        assert.ok(!Number.isFinite(after.logSumExp));
        diverged.close();
      },
    );

    test(claim('a session refuses more tokens than the model sees, and to forget more than it has'), async () => {
      const parity = loadParityCase('tiny');
      const engine = await createInference(parity, namedWeights(parity));
      const session = engine.createSession();
      session.append(new Int32Array(parity.shape.seqLen));
      assert.throws(() => session.append(Int32Array.of(1)), RangeError);
      assert.throws(() => session.truncate(parity.shape.seqLen + 1), RangeError);
      assert.throws(() => session.truncate(-1), RangeError);
      engine.close();
    });

    test(claim('int8 weights give the logits of the same weights in f32'), async () => {
      const parity = loadParityCase('tiny');
      const named = namedWeights(parity);
      const int8 = quantizeWeights(named, parity.table);
      const restored = new Map([...int8].map(([name, t]) => [name, t.kind === 'int8' ? fromInt8(t) : t]));
      const ids = Int32Array.from(parity.samples[3].ids);
      const [found, expected] = await Promise.all(
        [int8, restored].map(async (weights) => (await createInference(parity, weights)).createSession().append(ids)),
      );
      const error = relativeError(found, expected);
      assert.ok(error <= options.int8Error, `relative error ${error}`);
      // Rounding to 255 levels is seen in the logits, so int8 was really used.
      const plain = (await createInference(parity, named)).createSession().append(ids);
      assert.ok(relativeError(found, plain) > 1e-4);
    });
  });
}

function namedWeights({ table }: ParityCase): Map<string, FloatTensor> {
  const tensors = readTensors('tiny.weights');
  return new Map(
    table.parameters.map((p) => [p.name, { kind: 'f32' as const, shape: p.shape, data: tensors.get(p.name)! }]),
  );
}

function fromInt8({ data, scales, shape }: Int8Tensor): FloatTensor {
  return { kind: 'f32', shape, data: Float32Array.from(data, (b, i) => b * scales[Math.floor(i / shape[1])]) };
}
