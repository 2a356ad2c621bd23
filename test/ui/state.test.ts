import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StepEvent, TrainEvent } from '../../src/trainer/events.js';
import {
  chartSteps,
  phaseShares,
  progress,
  remainingMs,
  scheduleShare,
  shareOfPeak,
  tokensPerSecMean,
  tokensPerSecNow,
} from '../../src/ui/figures.js';
import { addToSeries, EMPTY_SERIES, pointsOf } from '../../src/ui/series.js';
import { createViewState, reduceView, type ViewState } from '../../src/ui/state.js';
import { record, START } from './recording.js';
import { viewAfter } from './view.js';

/** 700 tokens in 70 ms by two workers that share the work evenly. */
const STEP: StepEvent = {
  type: 'step',
  step: 1,
  epoch: 0,
  loss: 4,
  lr: 1e-4,
  gradNorm: 1,
  tokens: 700,
  computedTokens: 650,
  flops: 9e9,
  stepMs: 70,
  elapsedMs: 70,
  phases: { forward: 20, backward: 40, reduce: 2, update: 3, wait: 1 },
  workers: [0, 1].map((rank) => ({ rank, tokens: 350, microBatches: 2, busy: 0.9, wait: 0.05 })),
};

function reduceAll(events: readonly TrainEvent[], msPerEvent = 0): ViewState {
  return events.reduce((view, event, i) => reduceView(view, event, i * msPerEvent), createViewState());
}

function steps(count: number, change: (step: number) => Partial<StepEvent> = () => ({})): StepEvent[] {
  return Array.from({ length: count }, (_, i) => ({ ...STEP, step: i + 1, ...change(i + 1) }));
}

test('view: is the same for the same events and times', () => {
  const events = record({ steps: 300 });
  assert.deepEqual(viewAfter(events), viewAfter(events));
});

test('view: rates follow the last seconds, the mean keeps the whole run', () => {
  // 100 steps at 10,000 tokens/s, then 100 (7 s, 3.5 time constants) at half that speed.
  const view = reduceAll([START, ...steps(100), ...steps(100, () => ({ stepMs: 140 }))]);
  const now = tokensPerSecNow(view) ?? 0;
  assert.ok(now >= 5000 && now < 5010, `now ${now}`);
  // 200 * 700 tokens in 100 * 70 + 100 * 140 ms
  assert.equal(tokensPerSecMean(view), 140_000 / 21);
});

test('view: the first step is enough for every rate', () => {
  const view = reduceAll([START, STEP]);
  assert.equal(tokensPerSecNow(view), 10_000);
  // 9e9 operations in 70 ms, of 190e9 a second
  assert.ok(Math.abs((shareOfPeak(view.rates.flops, view.rates.ms, 190) ?? 0) - 9 / 0.07 / 190) < 1e-12);
  assert.equal(shareOfPeak(view.rates.flops, view.rates.ms, null), null);
  assert.deepEqual(
    view.workers.map(({ rank, done }) => [rank, done]),
    [
      [0, 2],
      [1, 2],
    ],
  );
});

test('view: the smoothed loss is corrected for its start, and ignores what is no number', () => {
  assert.equal(reduceAll([STEP]).smoothedLoss, 4);
  // Weights 0.95 and 1 for two steps: (0.95 * 4 + 1 * 2) / 1.95
  const two = reduceAll([STEP, { ...STEP, step: 2, loss: 2 }]).smoothedLoss ?? 0;
  assert.ok(Math.abs(two - 5.8 / 1.95) < 1e-12);
  const broken = reduceAll([STEP, { ...STEP, step: 2, loss: Number.NaN }, { ...STEP, step: 3, loss: 2 }]);
  assert.ok(Math.abs((broken.smoothedLoss ?? 0) - two) < 1e-12);
});

test('view: the phases of a step and its share of the evaluations add up to all of it', () => {
  const evaluation: TrainEvent = {
    type: 'evaluation',
    step: 10,
    evalLoss: 1,
    bestEvalLoss: 1,
    isBest: true,
    evalMs: 300,
  };
  const shares = phaseShares(reduceAll([START, ...steps(10), evaluation]));
  const ms = shares.map((phase) => Number(phase.ms.toFixed(9)));
  // forward, backward, reduce, update, wait; 300 ms of evaluation over 10 steps; 4 ms that no phase accounts for
  assert.deepEqual(ms, [20, 40, 2, 3, 1, 30, 4]);
  assert.ok(Math.abs(shares.reduce((sum, phase) => sum + phase.share, 0) - 1) < 1e-12);
});

test('view: the time left counts steps and evaluations still to come', () => {
  const evaluation: TrainEvent = {
    type: 'evaluation',
    step: 100,
    evalLoss: 1,
    bestEvalLoss: 1,
    isBest: true,
    evalMs: 500,
  };
  const view = reduceAll([START, ...steps(150), evaluation]);
  // 1,850 steps of 70 ms, evaluations at 200, 300 ... 2,000
  assert.ok(Math.abs((remainingMs(view) ?? 0) - (1850 * 70 + 19 * 500)) < 1e-6);
  assert.equal(progress(view), 150 / 2000);
  assert.equal(remainingMs(reduceAll([START])), null);
});

test('view: a resumed run begins where it stopped, with the best it had', () => {
  const view = reduceAll([{ ...START, startStep: 500, bestEvalLoss: 0.7 }]);
  assert.equal(progress(view), 0.25);
  assert.equal(view.bestLoss, 0.7);
  assert.equal(view.bestStep, null);
  assert.equal(view.log[0].text, 'resumed after step 500, 512 samples (510 distinct)');
});

test('view: a worker that is gone loses its row, one that comes starts at nothing', () => {
  const three = { ...STEP, workers: [0, 1, 2].map((rank) => ({ ...STEP.workers[0], rank, microBatches: 1 })) };
  const view = reduceAll([STEP, three, { ...STEP, workers: STEP.workers.slice(0, 1) }, three]);
  assert.deepEqual(
    view.workers.map((row) => row.done),
    [6, 1, 1],
  );
});

test('view: the log tells what happened, warnings are kept apart', () => {
  const view = viewAfter(record({ steps: 700 }));
  const texts = view.log.map((entry) => entry.text);
  assert.deepEqual(texts.slice(-3), [
    'evaluation 0.0297, best so far, saved',
    'worker 1 died and was replaced',
    'evaluation 0.0227, best so far, saved',
  ]);
  assert.deepEqual(
    view.warnings.map(({ step, text }) => [step, text]),
    [[640, 'worker 1 died and was replaced']],
  );
});

test('view: a checkpoint that no new best was the reason for has a line of its own', () => {
  const saved = (kind: 'best' | 'last', step: number): TrainEvent => ({
    type: 'checkpoint',
    kind,
    step,
    path: `checkpoints/${kind}`,
    writeMs: 12,
  });
  const evaluation: TrainEvent = {
    type: 'evaluation',
    step: 20,
    evalLoss: 1,
    bestEvalLoss: 1,
    isBest: true,
    evalMs: 1,
  };
  const { log } = reduceAll([START, evaluation, saved('last', 20), saved('best', 20), saved('best', 40)]);
  assert.deepEqual(
    log.slice(1).map((entry) => entry.text),
    ['evaluation 1.0000, best so far, saved', 'saved checkpoints/last (12 ms)', 'saved checkpoints/best (12 ms)'],
  );
});

test('view: one slow step hardly moves the time that is left', () => {
  const slow: TrainEvent = { ...STEP, step: 301, stepMs: 700, elapsedMs: 0 };
  const before = remainingMs(reduceAll([START, ...steps(300)])) ?? 0;
  const after = remainingMs(reduceAll([START, ...steps(300), slow])) ?? 0;
  // 630 ms more in the 11 s that 21 s weigh by now: 5.6 %.
  assert.ok(after > before && after < before * 1.06, `${before} ${after}`);
});

test('view: text from outside reaches the log without control characters', () => {
  const notice: TrainEvent = { type: 'notice', level: 'info', step: 1, message: 'a\u001b[2Jb\nc' };
  assert.equal(reduceAll([notice]).log[0].text, 'a [2Jb c');
});

test('view: stays as small after 100,000 steps as after 2,000', () => {
  const events: TrainEvent[] = [{ ...START, maxSteps: 100_000 }];
  for (let step = 1; step <= 100_000; step++) {
    events.push({ ...STEP, step, loss: 6 / step });
    if (step % 10 !== 0) continue;
    events.push({ type: 'evaluation', step, evalLoss: 6 / step, bestEvalLoss: 6 / step, isBest: true, evalMs: 1 });
    events.push({ type: 'checkpoint', kind: 'best', step, path: 'checkpoints/best', writeMs: 1 });
    events.push({ type: 'notice', level: 'warning', step, message: `warning ${step}` });
  }
  let view = createViewState();
  let early = 0;
  for (const event of events) {
    view = reduceView(view, event, 0);
    if (event.type === 'step' && event.step === 2000) early = JSON.stringify(view).length;
  }
  const late = JSON.stringify(view).length;
  assert.ok(late < early * 1.5 && late < 200_000, `${early} characters after 2,000 steps, ${late} after 100,000`);
  const points = pointsOf(view.trainLoss);
  assert.equal(points.at(-1)?.x, 100_000);
  assert.ok(points.length >= 512 && points.length <= 1025, `${points.length} points`);
});

test('series: thinning keeps the mean and the end of the curve', () => {
  let series = EMPTY_SERIES;
  for (let x = 1; x <= 4096; x++) series = addToSeries(series, x, x);
  const points = pointsOf(series);
  assert.equal(points.at(-1)?.x, 4096);
  const mean = points.reduce((sum, point) => sum + point.y, 0) / points.length;
  assert.equal(mean, 2048.5);
  assert.equal(addToSeries(series, 4097, Number.NaN), series);
});

test('figures: a chart shows the part of the run that is at least half full', () => {
  const at = (step: number) => chartSteps(reduceAll([START, { ...STEP, step }]));
  assert.deepEqual(at(1), { min: 0, max: 16 });
  assert.deepEqual(at(125), { min: 0, max: 125 });
  assert.deepEqual(at(126), { min: 0, max: 250 });
  assert.deepEqual(at(1001), { min: 0, max: 2000 });
  const resumed = reduceAll([
    { ...START, startStep: 1000 },
    { ...STEP, step: 1300 },
  ]);
  assert.deepEqual(chartSteps(resumed), { min: 1000, max: 1500 });
});

test('figures: the schedule rises in a straight line and falls as a cosine', () => {
  assert.deepEqual(
    [0, 50, 100, 1050, 2000, 3000].map((step) => Number(scheduleShare(START, step).toFixed(12))),
    // From 3e-4 down to 3e-5: a tenth.
    [0, 0.5, 1, 0.55, 0.1, 0.1],
  );
  assert.equal(scheduleShare({ ...START, peakLr: null, minLr: null }, 2000), 0, 'as older versions recorded it');
});
