// Recommendations for machines that are made up: quiet, noisy, shared, with and without more logical than physical cores.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Measurement } from '../../src/tune/measurement.js';
import { type Circumstances, recommend } from '../../src/tune/recommend.js';
import { madeUp, noisy } from './made-up.js';

const QUIET: Circumstances = { present: { threads: 2, microBatch: 4 }, logical: 2, physical: 2, othersBusy: 0.03 };

function best(measurements: readonly Measurement[], circumstances: Partial<Circumstances> = {}) {
  const recommendation = recommend(measurements, { ...QUIET, ...circumstances });
  assert.ok(recommendation !== null);
  return recommendation;
}

const ONE = madeUp({ threads: 1, ms: noisy(187, 9, 0.01) });
const TWO = madeUp({ threads: 2, ms: noisy(100, 9, 0.01) });

test('recommend: the fastest setting, how many times as fast as one thread, and no doubt on a quiet machine', () => {
  const { setting, tokensPerSec, timesOneThread, timesPresent, uselessThreads, doubts } = best([ONE, TWO]);
  assert.deepEqual(setting, { threads: 2, microBatch: 4 });
  // 1000 tokens in 100 ms, and the pattern's median is 0.
  assert.equal(tokensPerSec, 10_000);
  assert.equal(timesOneThread?.toFixed(2), '1.87');
  assert.equal(timesPresent, 1);
  assert.deepEqual(uselessThreads, []);
  assert.deepEqual(doubts, []);
});

test('recommend: threads that add less than 2 % are left to others', () => {
  const four = madeUp({ threads: 4, ms: noisy(99, 9, 0.01, 2) });
  const three = madeUp({ threads: 3, ms: noisy(140, 2, 0.01), state: 'dropped' });
  const { setting, uselessThreads, doubts } = best([ONE, TWO, three, four], { logical: 4 });
  assert.equal(setting.threads, 2);
  assert.deepEqual(uselessThreads, [3, 4]);
  assert.deepEqual(doubts, []);
});

test('recommend: a size stays unless another one is faster by more than 2 %', () => {
  const near = madeUp({ threads: 2, microBatch: 8, ms: noisy(98.5, 9, 0.005, 1) });
  const { setting: kept, fastest } = best([ONE, TWO, near]);
  assert.deepEqual([kept.microBatch, fastest.microBatch], [4, 8]);
  const far = madeUp({ threads: 2, microBatch: 8, ms: noisy(92, 9, 0.005, 1) });
  const { setting, timesPresent } = best([ONE, TWO, far]);
  assert.equal(setting.microBatch, 8);
  // 100 ms against 92 ms.
  assert.equal(timesPresent?.toFixed(2), '1.09');
});

test('recommend: the threads’ merit is measured at the same size', () => {
  const far = madeUp({ threads: 2, microBatch: 8, ms: noisy(80, 9, 0.005, 1) });
  const { setting, timesOneThread } = best([ONE, TWO, far]);
  assert.equal(setting.microBatch, 8);
  // 187 ms against 100 ms, both with 4 samples; one thread with 8 wasn't measured.
  assert.equal(timesOneThread?.toFixed(2), '1.87');
  const oneWithEight = madeUp({ threads: 1, microBatch: 8, ms: noisy(136, 9, 0.005, 1) });
  assert.equal(best([ONE, oneWithEight, TWO, far]).timesOneThread?.toFixed(2), '1.70');
});

test('recommend: drift that hits all settings alike changes nothing, since rounds are compared within themselves', () => {
  const drift = (ms: readonly (number | null)[]) => ms.map((time, i) => time! * (1 + 0.08 * i));
  const slow = madeUp({ threads: 2, microBatch: 8, ms: drift(noisy(106, 9, 0.003, 4)) });
  const { setting, doubts } = best([
    madeUp({ threads: 1, ms: drift(noisy(187, 9, 0.003)) }),
    madeUp({ threads: 2, ms: drift(noisy(100, 9, 0.003)) }),
    slow,
  ]);
  assert.deepEqual(setting, { threads: 2, microBatch: 4 });
  assert.deepEqual(doubts, []);
});

test('recommend: scatter within which another setting may be notably faster is a doubt that names it', () => {
  const other = madeUp({ threads: 2, microBatch: 8, ms: noisy(104, 9, 0.3, 4) });
  const { setting, doubts } = best([ONE, madeUp({ threads: 2, ms: noisy(100, 9, 0.3) }), other]);
  assert.deepEqual(setting, { threads: 2, microBatch: 4 });
  const [doubt, ...more] = doubts;
  assert.ok(doubt.kind === 'scatter');
  assert.deepEqual(doubt.other, { threads: 2, microBatch: 8 });
  assert.ok(doubt.ratio - 2 * doubt.error < 0.96, JSON.stringify(doubt));
  assert.deepEqual(more, []);
});

test('recommend: the same scatter is none if the margin is larger than it', () => {
  const other = madeUp({ threads: 2, microBatch: 8, ms: noisy(300, 9, 0.3, 4) });
  assert.deepEqual(best([madeUp({ threads: 2, ms: noisy(100, 9, 0.3) }), other]).doubts, []);
});

test('recommend: one round that was disturbed does not matter', () => {
  const ms = noisy(100, 9, 0.01);
  ms[3] = 400;
  const { tokensPerSec, doubts } = best([ONE, madeUp({ threads: 2, ms })]);
  assert.ok(Math.abs(tokensPerSec - 10_000) < 100, String(tokensPerSec));
  assert.deepEqual(doubts, []);
});

test('recommend: a program that takes a core is a doubt, one on a core that stayed free is not', () => {
  assert.deepEqual(best([ONE, TWO], { othersBusy: 0.97 }).doubts, [{ kind: 'others-busy', processors: 0.97, free: 0 }]);
  assert.deepEqual(best([ONE, TWO], { othersBusy: 0.97, logical: 4 }).doubts, []);
  assert.deepEqual(best([ONE, TWO], { othersBusy: null }).doubts, []);
});

test('recommend: threads that had to wait for a processor are a doubt', () => {
  const starved = madeUp({ threads: 2, ms: noisy(100, 9, 0.01), starved: 0.23 });
  assert.deepEqual(best([ONE, starved]).doubts, [{ kind: 'starved', share: 0.23 }]);
});

test('recommend: fewer than three rounds are too few', () => {
  const { setting, doubts } = best([madeUp({ threads: 1, ms: [187, 188] }), madeUp({ threads: 2, ms: [100, 101] })]);
  assert.equal(setting.threads, 2);
  assert.deepEqual(doubts, [{ kind: 'few-rounds', rounds: 2 }]);
});

test('recommend: a setting that was seen less than three times does not win over one that was seen often', () => {
  const lucky = madeUp({ threads: 2, microBatch: 8, ms: [null, null, 60] });
  assert.deepEqual(best([ONE, TWO, lucky]).setting, { threads: 2, microBatch: 4 });
});

test('recommend: nothing measured gives nothing', () => {
  assert.equal(recommend([madeUp({ threads: 1, ms: [] })], QUIET), null);
});
