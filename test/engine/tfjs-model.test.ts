// What the tfjs engine has of its own: dropout masks, pieces of large micro-batches, no tensor left behind. On the wasm backend.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { createNativeTraining, nativePackedFloats } from '../../src/engine/native.js';
import { createTfjsTraining, piecesOf } from '../../src/engine/tfjs.js';
import { loadTfjs } from '../../src/engine/tfjs-backend.js';
import { createDropoutMask } from '../../src/engine/tfjs-dropout.js';
import { createLiveTfjsInference } from '../../src/engine/tfjs-inference.js';
import type { Tf } from '../../src/engine/tfjs-types.js';
import { initializeWeights } from '../../src/model/init.js';
import { createParameterTable } from '../../src/model/parameters.js';
import type { ModelShape } from '../../src/model/shape.js';
import { alignedFloats, capacityOf, loadParityCase, packSamples, relativeError } from '../helpers/parity.js';

const NO_DROPOUT = { rate: 0, seed: 0, step: 0 };
let tf: Tf;
before(async () => {
  tf = await loadTfjs('wasm');
});

test('tfjs: tensors and their bytes don’t grow over 30 steps, evaluations and answers', () => {
  const parity = loadParityCase('tiny');
  const engine = createTfjsTraining(tf, parity);
  const inference = createLiveTfjsInference(tf, parity);
  const grads = new Float32Array(parity.table.flatLength);
  const step = (i: number) => {
    engine.refresh(0, 1);
    engine.forward(parity.batch, { rate: i % 2 === 0 ? 0 : 0.1, seed: 1, step: i });
    // A forward whose gradient nobody wants, as in a test of finite differences.
    engine.forward(parity.batch, NO_DROPOUT);
    engine.backward(grads);
    engine.loss(parity.batch);
    inference.createSession().append(Int32Array.of(1, 2, 3));
    const { numTensors, numDataBuffers, numBytes } = tf.memory();
    return { numTensors, numDataBuffers, numBytes };
  };
  const first = step(0);
  for (let i = 1; i <= 30; i++) assert.deepEqual(step(i), first);
  inference.close();
  const weights = 2 * parity.table.parameters.length;
  assert.ok(tf.memory().numTensors < first.numTensors && tf.memory().numTensors < weights);
});

test('tfjs: live inference answers with the weights there were when its session began', () => {
  const parity = loadParityCase('tiny');
  const inference = createLiveTfjsInference(tf, parity);
  const answer = () => inference.createSession().append(Int32Array.of(5, 6)).slice();
  const before = answer();
  for (const { offset, length } of parity.table.parameters) {
    for (let i = 0; i < length; i++) parity.weights[offset + i] *= 1.1;
  }
  const after = answer();
  assert.ok(relativeError(after, before) > 0.01);
  for (const { offset, length } of parity.table.parameters) {
    for (let i = 0; i < length; i++) parity.weights[offset + i] /= 1.1;
  }
  assert.ok(relativeError(answer(), before) < 1e-5);
  inference.close();
});

test('tfjs: a micro-batch is taken in pieces of whole sequences that keep every token, target and key', () => {
  const { samples } = loadParityCase('tiny');
  const batch = packSamples(samples);
  const lengths = samples.map(({ ids }) => ids.length);
  const longest = Math.max(...lengths);
  for (const maxRows of [1, longest, longest + 7, batch.tokens.length]) {
    const pieces = [...piecesOf(batch, maxRows)];
    for (const piece of pieces) {
      assert.ok(piece.tokens.length <= maxRows || piece.sampleKeys.length === 1);
      assert.equal(piece.seqStarts[0], 0);
      assert.equal(piece.seqStarts.at(-1), piece.tokens.length);
    }
    const all = (of: (piece: (typeof pieces)[number]) => Iterable<number>) => pieces.flatMap((piece) => [...of(piece)]);
    assert.deepEqual(
      all((p) => p.tokens),
      [...batch.tokens],
    );
    assert.deepEqual(
      all((p) => p.targets),
      [...batch.targets],
    );
    assert.deepEqual(
      all((p) => p.weights),
      [...batch.weights],
    );
    assert.deepEqual(
      all((p) => p.sampleKeys),
      [...batch.sampleKeys],
    );
    const scoredTokens = (p: (typeof pieces)[number]) => p.scoredRows.map((row) => p.tokens[row]);
    assert.deepEqual(all(scoredTokens), [...scoredTokens(batch)]);
  }
  assert.equal([...piecesOf(batch, 1)].length, samples.length);
  assert.equal([...piecesOf(batch, batch.tokens.length)][0], batch);
});

test('tfjs: a micro-batch of more rows than one piece holds has the loss and gradient of its halves', () => {
  const parity = loadParityCase('tiny');
  // 55 rows a copy: 12 copies are 660 rows, more than the 512 of a piece.
  const samples = Array.from({ length: 12 }, () => parity.samples).flat();
  const large = packSamples(samples);
  const engine = createTfjsTraining(tf, parity);
  engine.refresh(0, 1);
  const gradient = (batch: typeof large) => {
    const grads = new Float32Array(parity.table.flatLength);
    const loss = engine.forward(batch, NO_DROPOUT);
    engine.backward(grads);
    return { loss, grads };
  };
  // Copies alone don't change the mean.
  const [found, expected] = [gradient(large), gradient(parity.batch)];
  assert.ok(Math.abs(found.loss - expected.loss) < 1e-5, `${found.loss}, ${expected.loss}`);
  assert.ok(relativeError(found.grads, expected.grads) < 2e-6);
  assert.ok(Math.abs(engine.loss(large) - expected.loss) < 1e-5);
});

test('tfjs: agrees with the native engine within 1e-5 for shapes at the edge: one head, one layer, heads of two channels', () => {
  const shapes: ModelShape[] = [
    { nLayer: 1, nHead: 1, nEmbd: 6, vocabSize: 11, seqLen: 9 },
    { nLayer: 3, nHead: 3, nEmbd: 6, vocabSize: 300, seqLen: 9 },
    { nLayer: 1, nHead: 5, nEmbd: 50, vocabSize: 11, seqLen: 9 },
  ];
  // A sequence of one token, one scored whole, one scored at its end alone.
  const batch = packSamples([
    { ids: [3], targets: [10] },
    { ids: [1, 2, 10, 4, 5, 6, 7, 8, 9], targets: [2, 10, 4, 5, 6, 7, 8, 9, 0] },
    { ids: [7, 7, 2], targets: [-1, -1, 5] },
  ]);
  for (const shape of shapes) {
    const table = createParameterTable(shape);
    const weights = alignedFloats(table.flatLength);
    initializeWeights(table, 1, weights);
    for (let i = 0; i < weights.length; i++) weights[i] *= 3;
    const packed = alignedFloats(nativePackedFloats(shape));
    const native = createNativeTraining({ shape, table, weights, packed }, capacityOf(batch));
    const [found, expected] = [createTfjsTraining(tf, { shape, table, weights }), native].map((engine) => {
      engine.refresh(0, 1);
      const grads = alignedFloats(table.flatLength);
      const loss = engine.forward(batch, NO_DROPOUT);
      engine.backward(grads);
      return { loss, grads };
    });
    const { nHead, nEmbd } = shape;
    assert.ok(Math.abs(found.loss - expected.loss) < 1e-5, `${found.loss}, ${expected.loss}`);
    const error = relativeError(found.grads, expected.grads);
    assert.ok(error < 1e-5, `${nHead} heads of ${nEmbd / nHead}: relative error ${error}`);
  }
});

test('tfjs dropout: `rate` of the channels fall, the others are scaled so that the mean stays', () => {
  const C = 256;
  const T = 100;
  const batch = { tokens: new Int32Array(T), seqStarts: Int32Array.of(0, T), sampleKeys: Int32Array.of(3) };
  for (const rate of [0.1, 0.5, 0.9]) {
    const mask = createDropoutMask(C, batch, { rate, seed: 42, step: 1 })!;
    let fallen = 0;
    for (let row = 0; row < T; row++) {
      for (const factor of mask(1, row)) {
        if (factor === 0) fallen++;
        else assert.ok(Math.abs(factor - 1 / (1 - rate)) < 1e-6 / (1 - rate));
      }
    }
    // 25,600 draws: five standard deviations are 0.0156 at most.
    assert.ok(Math.abs(fallen / (C * T) - rate) < 0.016, `${rate}: ${fallen / (C * T)}`);
  }
});

test('tfjs dropout: every site, row, sample, step and seed has a mask of its own, which the rest of the batch doesn’t change', () => {
  const mask = (key: { seed?: number; step?: number; sample?: number; site?: number; position?: number }) => {
    const { seed = 42, step = 1, sample = 3, site = 0, position = 2 } = key;
    const batch = {
      tokens: new Int32Array(9),
      seqStarts: Int32Array.of(0, 4, 9),
      sampleKeys: Int32Array.of(1, sample),
    };
    return [...createDropoutMask(64, batch, { rate: 0.5, seed, step })!(site, 4 + position)].join();
  };
  const masks = [{}, { seed: 43 }, { step: 2 }, { sample: 4 }, { site: 1 }, { position: 3 }].map(mask);
  assert.equal(new Set(masks).size, masks.length);
  const alone = { tokens: new Int32Array(5), seqStarts: Int32Array.of(0, 5), sampleKeys: Int32Array.of(3) };
  assert.equal([...createDropoutMask(64, alone, { rate: 0.5, seed: 42, step: 1 })!(0, 2)].join(), masks[0]);
  assert.equal(createDropoutMask(64, alone, NO_DROPOUT), null);
});
