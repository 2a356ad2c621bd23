// Figures that follow from measurements: numbers worked out by hand.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attentionFlops } from '../../src/bench/kernels.js';
import { memoryBytes } from '../../src/bench/machine.js';
import { allProducts, matricesOf, speedOf } from '../../src/bench/products.js';
import { mergesToMeasure, type StepSample, summarise, workerCounts } from '../../src/bench/steps.js';
import { bestRate } from '../../src/bench/team.js';
import { configFromObject } from '../../src/config/load.js';
import type { Corpus } from '../../src/data/corpus.js';
import { trainingFlops } from '../../src/model/flops.js';
import { createParameterTable } from '../../src/model/parameters.js';

const SHAPE = { nLayer: 3, nHead: 2, nEmbd: 32, vocabSize: 100, seqLen: 16 };

test('products: the matrices are all those of the parameter table', () => {
  const inTable = createParameterTable(SHAPE)
    .parameters.filter(({ isMatrix }) => isMatrix)
    .reduce((sum, { length }) => sum + length, 0);
  const listed = matricesOf(SHAPE).reduce((sum, m) => sum + m.outputs * m.inputs * m.matrices, 0);
  assert.equal(listed, inTable);
});

test('kernels: products and attention together are the FLOPs of a training step', () => {
  const tokens = 11;
  // One more layer in front adds 12 C^2 weights, met three times by each token, and one attention forward and backward.
  const added =
    trainingFlops(SHAPE, { tokens, scored: 4 }) - trainingFlops({ ...SHAPE, nLayer: 2 }, { tokens, scored: 4 });
  const products = 3 * 2 * 12 * 32 * 32 * tokens;
  assert.equal(products + attentionFlops(tokens, 32, false) + attentionFlops(tokens, 32, true), added);
});

test('products: a speed is FLOPs by time, its share that of the peak', () => {
  assert.deepEqual(speedOf(3e9, 100, 60), { gflops: 30, share: 0.5 });
  assert.deepEqual(speedOf(3e9, 100, null), { gflops: 30, share: null });
});

test('products: all together are as fast as their work by the sum of their times, each as often as it occurs', () => {
  const at = (gflops: number) => ({ alone: { gflops, share: null }, withPacking: { gflops: gflops / 2, share: null } });
  const product = (matrices: number, gflops: number) => ({
    ...{ name: '', outputs: 2, inputs: 5, matrices },
    ...{ forward: at(gflops), dX: at(gflops), dW: at(gflops) },
  });
  // 3 parts of the work at 60 and 1 at 20: 4 / (3/60 + 1/20) = 40.
  const all = allProducts([product(3, 60), product(1, 20)], 80);
  assert.ok(Math.abs(all.alone.gflops - 40) < 1e-9 && Math.abs(all.withPacking.gflops - 20) < 1e-9);
  assert.ok(Math.abs(all.alone.share! - 0.5) < 1e-9);
});

test('team: a repeat is as fast as its slowest member, and the fastest repeat counts', () => {
  const members = [
    [
      { amount: 10, ms: 2 },
      { amount: 10, ms: 1 },
    ],
    [
      { amount: 20, ms: 1 },
      { amount: 20, ms: 4 },
    ],
  ];
  // 30 / 2 and 30 / 4.
  assert.equal(bestRate(members), 15);
});

test('machine: the memory that is measured is four times the largest cache, and at most a quarter of what is free', () => {
  const MB = 2 ** 20;
  const cases: [cache: number | null, available: number, expected: number][] = [
    [32 * MB, 8000 * MB, 128 * MB],
    [1 * MB, 8000 * MB, 64 * MB],
    [null, 8000 * MB, 128 * MB],
    [256 * MB, 2000 * MB, 500 * MB],
  ];
  for (const [cache, available, expected] of cases) assert.equal(memoryBytes(cache, available), expected);
});

test('steps: each number of workers up to 4, then powers of two and the largest', () => {
  assert.deepEqual(workerCounts(1), [1]);
  assert.deepEqual(workerCounts(4), [1, 2, 3, 4]);
  assert.deepEqual(workerCounts(8), [1, 2, 3, 4, 8]);
  assert.deepEqual(workerCounts(24), [1, 2, 3, 4, 8, 16, 24]);
});

test('steps: merging is measured where there is something to merge', () => {
  const merges = (count: number, distinctCount: number, dropout = 0) =>
    mergesToMeasure({
      config: configFromObject({ model: { dropout } }, 'test'),
      train: { count, distinctCount } as Corpus,
    });
  assert.deepEqual(merges(10, 10), [false]);
  assert.deepEqual(merges(10, 9), [true, false]);
  assert.deepEqual(merges(10, 9, 0.1), [false]);
});

test('steps: medians of times and phases, rates by turn, speed-up against one worker in the same round', () => {
  const step = (ms: number): StepSample => ({
    ms,
    tokens: 100,
    flops: 4e8,
    phases: { forward: ms / 4, backward: ms / 2, reduce: 1, update: 2, wait: 0 },
  });
  const one = [{ steps: [step(40), step(40)] }, { steps: [step(80), step(80)] }, { steps: [step(40), step(40)] }];
  const two = [{ steps: [step(20), step(20)] }, { steps: [step(40), step(40)] }, { steps: [step(25), step(15)] }];
  assert.deepEqual(summarise(two, one, 40), {
    steps: 6,
    // Of 15, 20, 20, 25, 40, 40.
    medianMs: 22.5,
    phases: { forward: 5.625, backward: 11.25, reduce: 1, update: 2, wait: 0, other: 2.625 },
    // Per turn 200 tokens in 40, 80, 40 ms; 8e8 FLOPs in 40 ms are 20 GFLOPS.
    tokensPerSec: 5000,
    gflops: 20,
    share: 0.5,
    speedUp: 2,
  });
});
