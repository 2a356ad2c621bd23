import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { loadAddon } from '../../src/addon/addon.js';
import { adamw, adamwStep } from '../../src/optim/adamw.js';
import { createOptimizerKernels } from '../../src/optim/kernels.js';
import { clipFactor, gradientNorm, NORM_BLOCK, reduceGradients } from '../../src/optim/reduce.js';
import { learningRate } from '../../src/optim/schedule.js';

const SETTINGS = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 };

/** f32 numbers of many magnitudes and both signs, the same for the same seed. */
function numbers(length: number, seed: number, positive = false): Float32Array {
  const random = xoroshiro128plus(seed);
  return Float32Array.from({ length }, () => {
    const value = (random.next() / 2 ** 31) * 10 ** (random.next() % 6);
    return positive ? Math.abs(value) : value;
  });
}

test('adamw: the first step by hand', () => {
  // m = 0.1 * 2 = 0.2, v = 0.001 * 4 = 0.004; unbiased 2 and 4; w = 1 * (1 - 1e-5) - 1e-3 * 2 / (2 + 1e-8) = 0.99899.
  const [w, g, m, v] = [1, 2, 0, 0].map((x) => Float32Array.of(x));
  adamw(w, g, m, v, 0, 1, adamwStep(SETTINGS, 1, 1));
  assert.ok(Math.abs(w[0] - 0.99899) < 1e-7, `${w[0]}`);
  assert.ok(Math.abs(m[0] - 0.2) < 1e-7 && Math.abs(v[0] - 0.004) < 1e-9);
});

test('adamw: the clip factor scales the gradient before the moments see it', () => {
  const [w, g, m, v] = [1, 2, 0, 0].map((x) => Float32Array.of(x));
  adamw(w, g, m, v, 0, 1, adamwStep(SETTINGS, 1, 0.5));
  assert.ok(Math.abs(m[0] - 0.1) < 1e-7 && Math.abs(v[0] - 0.001) < 1e-9);
});

test('adamw: C and JavaScript give the same bits over 20 steps, on slices that start and end anywhere', () => {
  const native = createOptimizerKernels(loadAddon()!);
  const length = 1003;
  const state = () => [numbers(length, 1), numbers(length, 2), numbers(length, 3), numbers(length, 4, true)];
  const [a, b] = [state(), state()];
  for (let step = 1; step <= 20; step++) {
    const settings = adamwStep({ ...SETTINGS, lr: 1e-3 * step }, step, 1 / step);
    for (const [begin, end] of [
      [0, 7],
      [7, 600],
      [600, length],
    ]) {
      adamw(a[0], a[1], a[2], a[3], begin, end, settings);
      native.adamw(b[0], b[1], b[2], b[3], begin, end, settings);
    }
  }
  for (let i = 0; i < 4; i++) assert.deepEqual(new Uint32Array(a[i].buffer), new Uint32Array(b[i].buffer));
});

for (const slots of [1, 2, 3, 4, 5, 16]) {
  test(`reduce: C and JavaScript give the same bits for ${slots} slots`, () => {
    const native = createOptimizerKernels(loadAddon()!);
    const stride = 2 * NORM_BLOCK + 48;
    const length = stride - 13;
    const [a, b] = [numbers(slots * stride, 5), numbers(slots * stride, 5)];
    const squares = [new Float64Array(3), new Float64Array(3)];
    reduceGradients(a, slots, stride, 0, length, squares[0]);
    native.reduce(b, slots, stride, 0, NORM_BLOCK, squares[1]);
    native.reduce(b, slots, stride, NORM_BLOCK, length, squares[1]);
    assert.deepEqual(new Uint32Array(a.buffer), new Uint32Array(b.buffer));
    assert.deepEqual(squares[0], squares[1]);
  });
}

test('reduce: sums pairs of slots, not one after the other', () => {
  // In f32 (1 + 2^-24) + 2^-24 loses both small terms; 1 + (2^-24 + 2^-24) keeps their sum. Slots pair as (0+1)+(2+3).
  const tiny = 2 ** -24;
  const grads = new Float32Array([1, 0, tiny, tiny]);
  reduceGradients(grads, 4, 1, 0, 1, new Float64Array(1));
  assert.equal(grads[0], Math.fround(1 + 2 * tiny));
});

test('reduce: the norm is that of the sum', () => {
  const grads = new Float32Array([3, 1, 0, 3]);
  const squares = new Float64Array(1);
  reduceGradients(grads, 2, 2, 0, 2, squares);
  assert.equal(gradientNorm(squares), 5); // (3 + 0, 1 + 3)
});

test('clip: as PyTorch, norm > limit is scaled by limit / (norm + 1e-6), and 0 turns it off', () => {
  assert.equal(clipFactor(2, 1), 1 / (2 + 1e-6));
  assert.equal(clipFactor(1, 1), 1);
  assert.equal(clipFactor(1e9, 0), 1);
});

test('schedule: warms up linearly, peaks at the end of warm-up, falls along a cosine to min_lr', () => {
  const schedule = { lr: 1, minLr: 0.1, warmupSteps: 4, maxSteps: 12 };
  const found = [1, 2, 4, 6, 8, 12].map((step) => learningRate(schedule, step));
  // Half way (step 8) the mean of lr and min_lr; a quarter (6): 0.1 + 0.9 * (1 + cos 45 degrees) / 2.
  const expected = [0.25, 0.5, 1, 0.1 + 0.45 * (1 + Math.SQRT1_2), 0.55, 0.1];
  found.forEach((lr, i) => {
    assert.ok(Math.abs(lr - expected[i]) < 1e-12, `${i}: ${lr}, expected ${expected[i]}`);
  });
});

test('schedule: warm-up as long as the run never divides by zero; a longer one ends on the way up', () => {
  assert.equal(learningRate({ lr: 1, minLr: 0, warmupSteps: 8, maxSteps: 4 }, 4), 0.5);
  assert.equal(learningRate({ lr: 1, minLr: 0, warmupSteps: 4, maxSteps: 4 }, 4), 1);
});
