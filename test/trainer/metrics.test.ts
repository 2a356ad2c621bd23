// metrics.jsonl: what the lines look like, that reading them gives the events again, and what a resumed run keeps.

import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { EndEvent, StartEvent, StepEvent, TrainEvent } from '../../src/trainer/events.js';
import { MetricsFile } from '../../src/trainer/metrics.js';
import { METRICS_FILE, metricsLine } from '../../src/trainer/metrics-lines.js';
import { parseMetrics } from '../../src/trainer/metrics-reader.js';
import { runToEnd, temporaryFolder, testInputs } from '../helpers/run.js';

const START: StartEvent = {
  type: 'start',
  shape: { nLayer: 4, nHead: 4, nEmbd: 256, vocabSize: 824, seqLen: 128 },
  parameterCount: 3_368_192,
  engine: { name: 'native', detail: 'AVX2', precision: 'fp32' },
  workers: 2,
  saveDir: 'checkpoints',
  batchSize: 16,
  microBatches: 4,
  maxSteps: 2000,
  warmupSteps: 5,
  peakLr: 3e-4,
  minLr: 3e-5,
  evalInterval: 20,
  stepsPerEpoch: 31.25,
  startStep: 0,
  trainSamples: 500,
  trainDistinct: 498,
  truncated: 0,
  valSamples: 96,
  samplePrompts: 3,
  bestEvalLoss: null,
  peakGflops: null,
};

const END: EndEvent = {
  type: 'end',
  reason: 'stopped',
  step: 3,
  trainLoss: 5.5,
  bestEvalLoss: 5.25,
  lastEvalLoss: 5.75,
  elapsedMs: 500,
  medianStepMs: 60,
  tokensPerSec: 9800.5,
};

function step(number: number, elapsedMs: number, loss = 6.5): StepEvent {
  return {
    type: 'step',
    step: number,
    epoch: 1,
    loss,
    lr: 0.0001,
    gradNorm: 2.5,
    tokens: 600,
    computedTokens: 580,
    flops: 1.5e10,
    stepMs: 60.125,
    elapsedMs,
    phases: { forward: 20, backward: 35, reduce: 2, update: 2.5, wait: 0.5 },
    workers: [
      { rank: 0, tokens: 320, microBatches: 2, busy: 0.97, wait: 0.01 },
      { rank: 1, tokens: 260, microBatches: 2, busy: 0.95, wait: 0.03 },
    ],
  };
}

const EVENTS: TrainEvent[] = [
  START,
  step(1, 60.125),
  { type: 'notice', level: 'warning', step: 1, message: 'worker 1 was replaced' },
  { type: 'evaluation', step: 1, evalLoss: 5.25, bestEvalLoss: 5.25, isBest: true, evalMs: 100.5 },
  { type: 'samples', step: 1, items: [{ prompt: '天空是什么颜色？', answer: '蓝', expected: '蓝色', step: 1 }] },
  { type: 'checkpoint', kind: 'best', step: 1, path: 'checkpoints/best', writeMs: 12.5 },
  step(2, 220.75, Number.NaN),
  step(3, 280.875),
  { type: 'evaluation', step: 3, evalLoss: 5.75, bestEvalLoss: 5.25, isBest: false, evalMs: 99.5 },
  END,
];

const textOf = (events: readonly TrainEvent[]) => events.map((event) => `${metricsLine(event)}\n`).join('');

test('metrics: every event survives writing and reading, a loss that is not a number included', () => {
  assert.deepEqual(parseMetrics(textOf(EVENTS), 'test'), EVENTS);
});

test('metrics: the lines of steps and evaluations have the promised keys', () => {
  const [, stepLine, , evaluationLine] = textOf(EVENTS).split('\n');
  assert.equal(
    stepLine,
    '{"step":1,"epoch":1,"loss":6.5,"lr":0.0001,"grad_norm":2.5,"tokens":600,"computed_tokens":580,"flops":15000000000,' +
      '"step_ms":60.125,"forward_ms":20,"backward_ms":35,"reduce_ms":2,"update_ms":2.5,"wait_ms":0.5,"workers":[' +
      // 320 and 260 tokens in 60.125 ms.
      '{"rank":0,"tokens":320,"micro_batches":2,"tokens_per_sec":5322,"busy":0.97,"wait":0.01},' +
      '{"rank":1,"tokens":260,"micro_batches":2,"tokens_per_sec":4324,"busy":0.95,"wait":0.03}]}',
  );
  assert.equal(evaluationLine, '{"step":1,"eval_loss":5.25,"eval_ms":100.5}');
});

test('metrics: the first line tells of the run, with a version', () => {
  assert.equal(
    metricsLine(START),
    '{"run":{"format":1,"shape":{"n_layer":4,"n_head":4,"n_embd":256,"seq_len":128,"vocab_size":824},' +
      '"parameter_count":3368192,"engine":{"name":"native","detail":"AVX2","precision":"fp32"},"workers":2,' +
      '"save_dir":"checkpoints","batch_size":16,"micro_batches":4,"max_steps":2000,"warmup_steps":5,"peak_lr":0.0003,"min_lr":0.00003,"eval_interval":20,' +
      '"steps_per_epoch":31.25,"start_step":0,"train_samples":500,"train_distinct":498,"truncated":0,"val_samples":96,' +
      '"sample_prompts":3,"best_eval_loss":null,"peak_gflops":null}}',
  );
});

test('metrics: a last line that was cut off is left out, a whole one without its newline is not', () => {
  const text = textOf(EVENTS.slice(0, 3));
  assert.deepEqual(parseMetrics(text.slice(0, -10), 'test'), EVENTS.slice(0, 2));
  assert.deepEqual(parseMetrics(text.slice(0, -1), 'test'), EVENTS.slice(0, 3));
});

test('metrics: lines of an unknown kind are skipped, the figures beyond the first six may be missing', () => {
  const least = '{"step":7,"loss":1,"lr":0.1,"grad_norm":2,"tokens":600,"step_ms":50}';
  const [event, ...others] = parseMetrics(`{"step":7,"weather":"fine"}\n\n${least}\n`, 'test');
  assert.ok(event.type === 'step' && event.computedTokens === 600 && event.workers.length === 0);
  assert.deepEqual(others, []);
});

const ADVICE =
  '  Expected metrics.jsonl as `gpt-loom train` writes it: one JSON object a line, e.g. {"step":1,"loss":6.7,...}.';

for (const [what, line, message] of [
  ['that is not JSON', '{"step":2,"loss"', /^runs\/metrics\.jsonl line 2 is not a record of a run: .*JSON.*\.\n/],
  ['that is no object', '7', /^runs\/metrics\.jsonl line 2 is not a record of a run: Invalid input: expected record/],
  ['with a wrong type', '{"step":2,"loss":"low"}', /line 2 is not a record of a run: loss: Invalid input/],
  ['without a figure it needs', '{"step":2,"loss":6.5}', /line 2 is not a record of a run: lr: it is missing\.\n/],
  ['of a newer version', '{"run":{"format":2}}', /: format: a newer gpt-loom wrote it; this one reads format 1\.\n/],
] as const) {
  test(`metrics: a line in the middle ${what} is an error that names it`, () => {
    const text = `${metricsLine(step(1, 60))}\n${line}\n${metricsLine(step(3, 60))}\n`;
    assert.throws(
      () => parseMetrics(text, 'runs/metrics.jsonl'),
      (error: Error) => {
        assert.equal(error.name, 'DataError');
        assert.match(error.message, message);
        assert.ok(error.message.endsWith(ADVICE), error.message);
        return true;
      },
    );
  });
}

test('metrics: a resumed run keeps what came up to its first step, then tells of itself', () => {
  const folder = temporaryFolder();
  const path = join(folder, METRICS_FILE);
  record(folder, EVENTS);
  appendFileSync(path, '{"step":4,"lo');
  const resumed = { ...START, startStep: 2, workers: 1, bestEvalLoss: 5.25 };
  record(folder, [resumed, step(3, 60.125)]);
  assert.equal(readFileSync(path, 'utf8'), textOf([...EVENTS.slice(0, 7), resumed, step(3, 60.125)]));

  // Back to before the first resumption: its run line goes with its steps.
  const again = { ...START, startStep: 1 };
  record(folder, [again]);
  assert.equal(readFileSync(path, 'utf8'), textOf([...EVENTS.slice(0, 6), again]));
});

test('metrics: a run that had ended goes on without its end', () => {
  const folder = temporaryFolder();
  record(folder, EVENTS);
  const resumed = { ...START, startStep: 3 };
  record(folder, [resumed]);
  assert.equal(readFileSync(join(folder, METRICS_FILE), 'utf8'), textOf([...EVENTS.slice(0, -1), resumed]));
});

test('metrics: a fresh run begins a new file with its first step, and leaves the old one where it has none', () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, METRICS_FILE), textOf(EVENTS));
  const { length, [length - 1]: end } = EVENTS;
  record(folder, [START, end]);
  assert.equal(readFileSync(join(folder, METRICS_FILE), 'utf8'), textOf(EVENTS));
  record(folder, [START, step(1, 7)]);
  assert.equal(readFileSync(join(folder, METRICS_FILE), 'utf8'), textOf([START, step(1, 7)]));
});

test('metrics: a real run reads back as it was told, times to the microsecond', async () => {
  const events = await runToEnd(testInputs(temporaryFolder(), { training: { max_steps: 10, eval_interval: 5 } }));
  const read = parseMetrics(textOf(events), 'test');
  assert.deepEqual(
    read.map(({ type }) => type),
    events.map(({ type }) => type),
  );
  const essential = (list: TrainEvent[]) =>
    list.map((event) => {
      if (event.type === 'step') return { ...event, stepMs: 0, elapsedMs: 0, phases: null, workers: null };
      if (event.type === 'evaluation') return { ...event, evalMs: 0 };
      return event.type === 'checkpoint' ? { ...event, writeMs: 0 } : event;
    });
  assert.deepEqual(essential(read), essential(events));
  const [last, expected] = [read, events].map((list) => list.findLast((event) => event.type === 'step'));
  assert.ok(Math.abs(last!.elapsedMs - expected!.elapsedMs) < 0.01, `${last?.elapsedMs}, ${expected?.elapsedMs}`);
});

/** As `train` does: the start event opens the file and is its first line. */
function record(folder: string, events: readonly TrainEvent[]): void {
  const [first] = events;
  const file = MetricsFile.open(folder, first.type === 'start' ? first.startStep : 0);
  for (const event of events) file.write(event);
  file.close();
}
