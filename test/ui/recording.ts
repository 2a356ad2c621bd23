// A training run as the trainer would report it, made from a fixed seed: events and the times at which they come.
// Shapes and speeds as measured for the default model with two workers; the loss falls as it does in such a run.

import type { SampleAnswer, StartEvent, StepEvent, TrainEvent, WorkerActivity } from '../../src/trainer/events.js';

export interface RecordedEvent {
  /** Milliseconds since the first event. */
  readonly at: number;
  readonly event: TrainEvent;
}

export interface RecordingOptions {
  readonly steps?: number;
  readonly maxSteps?: number;
  readonly workers?: number;
  readonly stepMs?: number;
  /** Without the end event the run goes on. */
  readonly hasEnd?: boolean;
}

const PEAK_LR = 3e-4;
const MIN_LR = 3e-5;

export const START: StartEvent = {
  type: 'start',
  shape: { nLayer: 4, nHead: 4, nEmbd: 256, vocabSize: 824, seqLen: 128 },
  parameterCount: 3_368_192,
  engine: { name: 'native', detail: 'AVX-512', precision: 'fp32' },
  workers: 2,
  saveDir: 'checkpoints',
  batchSize: 16,
  microBatches: 4,
  maxSteps: 2000,
  warmupSteps: 100,
  peakLr: PEAK_LR,
  minLr: MIN_LR,
  evalInterval: 100,
  stepsPerEpoch: 32,
  startStep: 0,
  trainSamples: 512,
  trainDistinct: 510,
  truncated: 0,
  valSamples: 96,
  samplePrompts: 4,
  bestEvalLoss: null,
  peakGflops: 190,
};

const EVAL_MS = 310;

/** Questions with the right answer and what the model says before it has learnt. */
const SAMPLES = [
  {
    prompt: '什么是RoPE？',
    expected: 'RoPE用旋转把相对位置信息注入注意力。',
    early: 'RoPE是是是的的的',
    from: 300,
  },
  {
    prompt: '为什么要做梯度裁剪？',
    expected: '防止梯度过大导致训练不稳定。',
    early: '防止梯度的的度度',
    from: 200,
  },
  {
    prompt: '学习率预热有什么用？',
    expected: '让训练初期的更新更平稳，避免一开始就发散。',
    early: '让训练初期的更新更平稳。',
    from: 500,
  },
  { prompt: '月亮上有多少只猫？', expected: '不知道。', early: '', from: 100 },
];

/** Loss at some steps of such a run; straight lines between their logarithms. */
const CURVE: readonly (readonly [step: number, loss: number])[] = [
  [1, 6.71],
  [60, 3.1],
  [120, 1.1],
  [200, 0.26],
  [400, 0.037],
  [900, 0.0068],
  [2000, 0.0031],
];

export function record(options: RecordingOptions = {}): RecordedEvent[] {
  const { maxSteps = START.maxSteps, workers = START.workers, stepMs = 68 } = options;
  const start: StartEvent = { ...START, maxSteps, workers };
  const random = createRandom(7);
  const events: RecordedEvent[] = [{ at: 0, event: start }];
  let at = 400;
  let elapsedMs = 0;
  let best: number | null = null;
  const add = (event: TrainEvent) => events.push({ at: Math.round(at), event });
  for (let step = 1; step <= (options.steps ?? maxSteps); step++) {
    const ms = stepMs * (0.96 + 0.08 * random()) * (step % 97 === 0 ? 1.5 : 1);
    at += ms;
    elapsedMs += ms;
    add(stepEvent(start, step, ms, elapsedMs, random));
    if (step === 640) add({ type: 'notice', level: 'warning', step, message: 'worker 1 died and was replaced' });
    if (step % start.evalInterval !== 0) continue;
    const evalLoss = curve((step * START.maxSteps) / maxSteps) * (1.25 + 0.5 * random());
    const isBest: boolean = best === null || evalLoss < best;
    best = isBest ? evalLoss : best;
    at += EVAL_MS;
    add({ type: 'evaluation', step, evalLoss, bestEvalLoss: best ?? evalLoss, isBest, evalMs: EVAL_MS });
    add({ type: 'samples', step, items: samplesAt((step * START.maxSteps) / maxSteps, step) });
    if (isBest) add({ type: 'checkpoint', kind: 'best', step, path: 'checkpoints/best', writeMs: 12.4 });
  }
  if (options.hasEnd) addEnd(events, start, elapsedMs, best);
  return events;
}

/** What the workers do at a moment: mostly forward and backward. */
export function activitiesAt(at: number, workers: number): WorkerActivity[] {
  const cycle: WorkerActivity[] = [
    'forward',
    'backward',
    'backward',
    'forward',
    'backward',
    'wait',
    'reduce',
    'update',
  ];
  return Array.from({ length: workers }, (_, rank) => cycle[(Math.floor(at / 125) + rank * 3) % cycle.length]);
}

function stepEvent(
  start: StartEvent,
  step: number,
  stepMs: number,
  elapsedMs: number,
  random: () => number,
): StepEvent {
  const tokens = 640 + Math.floor(random() * 60);
  const position = (step * START.maxSteps) / start.maxSteps;
  const shares = Array.from({ length: start.workers }, () => 0.93 + 0.05 * random());
  return {
    type: 'step',
    step,
    epoch: step / start.stepsPerEpoch,
    loss: curve(position) * (0.85 + 0.3 * random()),
    lr: learningRate(step, start),
    gradNorm: Math.max(0.009, curve(position) * (0.5 + 0.4 * random())),
    tokens,
    computedTokens: tokens,
    flops: tokens * 6 * start.parameterCount * 0.8,
    stepMs,
    elapsedMs,
    phases: {
      forward: stepMs * 0.31,
      backward: stepMs * 0.6,
      reduce: stepMs * 0.02,
      update: stepMs * 0.03,
      wait: stepMs * 0.03,
    },
    workers: shares.map((busy, rank) => ({
      rank,
      tokens: tokens / start.workers,
      microBatches: start.microBatches / start.workers,
      busy,
      wait: 1 - busy - 0.01,
    })),
  };
}

function addEnd(events: RecordedEvent[], start: StartEvent, elapsedMs: number, best: number | null): void {
  const { at } = events[events.length - 1];
  const steps = events.flatMap(({ event }) => (event.type === 'step' ? [event] : []));
  const last = steps[steps.length - 1];
  for (const kind of ['last', 'quantized'] as const) {
    events.push({
      at,
      event: { type: 'checkpoint', kind, step: last.step, path: `checkpoints/${kind}`, writeMs: 31 },
    });
  }
  events.push({
    at,
    event: {
      type: 'end',
      reason: last.step === start.maxSteps ? 'done' : 'stopped',
      step: last.step,
      trainLoss: last.loss,
      bestEvalLoss: best,
      lastEvalLoss: best === null ? null : best * 1.04,
      elapsedMs,
      medianStepMs: 68.2,
      tokensPerSec: 9799,
    },
  });
}

function samplesAt(step: number, at: number): SampleAnswer[] {
  return SAMPLES.map(({ prompt, expected, early, from }) => ({
    prompt,
    expected,
    answer: step >= from ? expected : early,
    step: at,
  }));
}

function learningRate(step: number, { warmupSteps, maxSteps }: StartEvent): number {
  if (step <= warmupSteps) return (PEAK_LR * step) / warmupSteps;
  const share = (step - warmupSteps) / (maxSteps - warmupSteps);
  return MIN_LR + ((PEAK_LR - MIN_LR) * (1 + Math.cos(Math.PI * share))) / 2;
}

function curve(step: number): number {
  const after = Math.max(
    1,
    CURVE.findIndex(([at]) => at >= step),
  );
  const [[x0, y0], [x1, y1]] = [CURVE[after - 1], CURVE[after]];
  const share = Math.min(1, Math.max(0, (step - x0) / (x1 - x0)));
  return Math.exp(Math.log(y0) + share * (Math.log(y1) - Math.log(y0)));
}

/** Numbers from 0 to 1, the same on every machine: a linear congruential generator (Numerical Recipes). */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
