// The pictures, parsed back: what their axes say, and that the lines lie where the numbers are.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHTML } from 'linkedom';
import stringWidth from 'string-width';
import { curvesOf, type RunCurves } from '../../src/plot/curves.js';
import { drawRuns } from '../../src/plot/runs.js';
import { drawRunsAsText } from '../../src/plot/terminal.js';
import { formatTick, logTicks } from '../../src/plot/ticks.js';
import { drawTuning } from '../../src/plot/tuning.js';
import type { StepEvent, TrainEvent } from '../../src/trainer/events.js';
import { createPaint } from '../../src/ui/paint.js';
import { madeUp } from '../tune/made-up.js';
import { record } from '../ui/recording.js';

/** What the tests use of the document model. */
interface Element {
  readonly textContent: string;
  getAttribute(name: string): string | null;
  querySelector(selector: string): Element | null;
  querySelectorAll(selector: string): Iterable<Element>;
}

function parse(svg: string): Element {
  return (parseHTML(svg) as unknown as { document: { documentElement: Element } }).document.documentElement;
}

const STEP: StepEvent = {
  type: 'step',
  step: 1,
  epoch: 1,
  loss: 1,
  lr: 1e-3,
  gradNorm: 1,
  tokens: 500,
  computedTokens: 500,
  flops: 1,
  stepMs: 50,
  elapsedMs: 50,
  phases: { forward: 1, backward: 1, reduce: 1, update: 1, wait: 1 },
  workers: [],
};

/** Constant loss, rising learning rate, 10 000 tokens/s, one evaluation: numbers whose places can be told by hand. */
const KNOWN: TrainEvent[] = [
  ...Array.from({ length: 101 }, (_, i) => ({ ...STEP, step: i + 1, loss: 0.1, lr: (i / 100) * 4e-4 })),
  { type: 'evaluation', step: 51, evalLoss: 10, bestEvalLoss: 10, isBest: true, evalMs: 100 },
];

function curves(name: string, events: readonly TrainEvent[]): RunCurves {
  const found = curvesOf(name, events);
  assert.ok(found !== null);
  return found;
}

const texts = (parent: Element, label: string) =>
  [...(parent.querySelector(`[aria-label="${label}"]`)?.querySelectorAll('text') ?? [])].map((t) => t.textContent);

/** Value of each tick of the vertical axis -> its place in pixels. */
function ticksOf(panel: Element): Map<string, number> {
  const labels = [...(panel.querySelector('[aria-label="y-axis tick label"]')?.querySelectorAll('text') ?? [])];
  return new Map(
    labels.map((label) => [label.textContent, Number(/,([\d.]+)\)/.exec(label.getAttribute('transform') ?? '')?.[1])]),
  );
}

/** First and last point of a path made of straight pieces. */
function endsOf(path: Element | null): [number, number][] {
  const points = [...(path?.getAttribute('d') ?? '').matchAll(/([\d.]+),([\d.]+)/g)];
  return [points[0], points.at(-1)].map((point) => [Number(point?.[1]), Number(point?.[2])]);
}

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 0.01, `${actual}, expected ${expected}`);
}

const panelsOf = (svg: Element) => [...svg.querySelectorAll('svg')];
const lineOf = (panel: Element) => panel.querySelector('[aria-label="line"] path');

test('plot: three panels with their names, the same steps below each, and a legend', () => {
  const svg = parse(drawRuns([curves('checkpoints', KNOWN)], 'en'));
  const panels = panelsOf(svg);
  assert.deepEqual(
    panels.map((panel) => texts(panel, 'y-axis label').join()),
    ['loss (nats, logarithmic)', 'learning rate', 'tokens per second'],
  );
  for (const panel of panels) {
    assert.deepEqual(texts(panel, 'x-axis label'), ['step']);
    assert.deepEqual(texts(panel, 'x-axis tick label'), ['10', '20', '30', '40', '50', '60', '70', '80', '90', '100']);
  }
  assert.deepEqual(texts(svg, 'legend'), ['training, smoothed', 'evaluation', 'checkpoints']);
  assert.equal(svg.querySelector('title')?.textContent, 'Training: checkpoints');
});

test('plot: the loss lies on a logarithmic axis, the evaluation at its step', () => {
  const [loss] = panelsOf(parse(drawRuns([curves('run', KNOWN)], 'en')));
  const ticks = ticksOf(loss);
  assert.deepEqual([...ticks.keys()], ['0.1', '0.2', '0.5', '1', '2', '5', '10']);
  const at = (label: string) => ticks.get(label) ?? Number.NaN;
  near(at('0.1') - at('1'), at('1') - at('10'));
  const [[x0, y0], [x1, y1]] = endsOf(lineOf(loss));
  // Margins of 64 and 24 pixels in a picture 900 wide; the smoothed mean of a constant is the constant.
  near(x0, 64);
  near(x1, 876);
  near(y0, at('0.1'));
  near(y1, at('0.1'));
  const dot = loss.querySelector('[aria-label="evaluation"] circle') ?? loss.querySelector('circle');
  near(Number(dot?.getAttribute('cx')), (64 + 876) / 2);
  near(Number(dot?.getAttribute('cy')), at('10'));
});

test('plot: learning rate and throughput start at 0 and lie where their numbers are', () => {
  const [, rate, speed] = panelsOf(parse(drawRuns([curves('run', KNOWN)], 'en')));
  const rates = ticksOf(rate);
  assert.deepEqual([...rates.keys()], ['0', '1e-4', '2e-4', '3e-4', '4e-4']);
  const [[, low], [, high]] = endsOf(lineOf(rate));
  near(low, rates.get('0') ?? 0);
  near(high, rates.get('4e-4') ?? 0);
  const speeds = ticksOf(speed);
  assert.deepEqual([...speeds.keys()], ['0', '2,000', '4,000', '6,000', '8,000', '10,000']);
  // 500 tokens in 50 ms.
  near(endsOf(lineOf(speed))[1][1], speeds.get('10,000') ?? 0);
});

test('plot: several runs have a line each in a colour of their own, and their names survive as they are', () => {
  const names = ['runs/a', 'runs/小模型 <a&b> "c"'];
  const text = drawRuns(
    names.map((name) => curves(name, KNOWN)),
    'zh',
  );
  const svg = parse(text);
  assert.deepEqual(texts(svg, 'legend'), ['训练（平滑）', '验证', ...names]);
  assert.ok(text.includes('runs/小模型 &lt;a&amp;b&gt; &quot;c&quot;'));
  const panels = panelsOf(svg);
  assert.deepEqual(
    panels.map((panel) => texts(panel, 'y-axis label').join()),
    ['损失（奈特，对数坐标）', '学习率', '每秒词元数'],
  );
  assert.deepEqual(texts(panels[2], 'x-axis label'), ['步数']);
  for (const panel of panels) {
    const colours = [...panel.querySelectorAll('[aria-label="line"]')].map((line) => line.getAttribute('stroke'));
    assert.deepEqual(colours, ['#4269d0', '#efb118']);
  }
  assert.match(text, /font-family="[^"]*'Noto Sans CJK SC'/);
});

test('plot: losses that are not finite leave gaps nowhere, and a run of a single step has a picture', () => {
  const broken = KNOWN.map((event) =>
    event.type === 'step' && event.step > 90 ? { ...event, loss: Number.NaN } : event,
  );
  assert.ok(!drawRuns([curves('run', broken)], 'en').includes('NaN'));
  assert.ok(!drawRuns([curves('run', KNOWN.slice(0, 1))], 'en').includes('NaN'));
  assert.equal(curvesOf('run', KNOWN.slice(-1)), null);
});

test('plot: long runs are thinned to what a picture can show, and the figures count every step', () => {
  const events = record({ steps: 6000, maxSteps: 6000 }).map(({ event }) => event);
  const run = curves('run', events);
  for (const points of [run.trainLoss, run.learningRate, run.tokensPerSec]) {
    assert.ok(points.length > 500 && points.length <= 1025, String(points.length));
    assert.equal(points.at(-1)?.x, 6000);
  }
  const steps = events.filter((event) => event.type === 'step');
  const sum = (of: (step: StepEvent) => number) => steps.reduce((total, step) => total + of(step), 0);
  const expected = (sum((s) => s.tokens) / sum((s) => s.stepMs)) * 1000;
  assert.ok(Math.abs(run.figures.tokensPerSec - expected) < 1e-6 * expected);
  const best = Math.min(...events.flatMap((event) => (event.type === 'evaluation' ? [event.evalLoss] : [])));
  assert.equal(run.figures.bestEvalLoss, best);
});

test('plot: ticks of a logarithmic axis are 1-2-5, powers of ten where those would be too many, even steps where too few', () => {
  assert.deepEqual(logTicks(0.05, 7), [0.05, 0.1, 0.2, 0.5, 1, 2, 5]);
  assert.deepEqual(logTicks(0.0009, 9), [0.001, 0.01, 0.1, 1]);
  assert.deepEqual(logTicks(3, 4), [3, 3.2, 3.4, 3.6, 3.8, 4]);
  assert.deepEqual(logTicks(3.9159, 8.01403), [4, 5, 6, 7, 8]);
  assert.deepEqual(logTicks(0.021, 0.049), [0.025, 0.03, 0.035, 0.04, 0.045]);
  assert.deepEqual([0.05, 2, 0.0001, 0.00025, 0].map(formatTick), ['0.05', '2', '1e-4', '2.5e-4', '0']);
});

test('plot: on a terminal a chart for each run and the figures side by side, 80 columns wide', () => {
  const lines = drawRunsAsText([curves('checkpoints', KNOWN)], {
    width: 80,
    language: 'en',
    paint: createPaint(false),
  });
  assert.deepEqual(lines, [
    'checkpoints                               loss (nats, logarithmic)  ● evaluation',
    ' 10┤                                      ●',
    '   │',
    '   │',
    '   │',
    '   │',
    '   │',
    '  1┤',
    '   │',
    '   │',
    '   │',
    '   │',
    `0.1┤${'⣀'.repeat(76)}`,
    '   └───────┬──────┬───────┬──────┬───────┬──────┬───────┬──────┬───────┬──────┬─',
    '          10     20      30     40      50     60      70     80      90     100',
    'learning rate      ▁▁▁▁▁▂▂▂▂▂▃▃▃▃▃▄▄▄▄▄▅▅▅▅▅▆▆▆▆▆▇▇▇▇▇█████',
    `tokens per second  ${'█'.repeat(40)}`,
    '',
    '             step  smoothed  best eval  at step  tokens/s  time',
    'checkpoints   101    0.1000     10.000       51    10,000  0:05',
  ]);
});

test('plot: a narrow terminal has the columns that matter most, and the end of long names', () => {
  const runs = ['/home/me/runs/first', '/home/me/runs/second'].map((name) => curves(name, KNOWN));
  const lines = drawRunsAsText(runs, { width: 40, language: 'en', paint: createPaint(false) });
  assert.deepEqual(
    lines.slice(-3).map((line) => line.replace(/ +$/, '')),
    [
      '               step  smoothed  best eval',
      '…e/runs/first   101    0.1000     10.000',
      '…/runs/second   101    0.1000     10.000',
    ],
  );
  for (const line of lines) assert.ok(stringWidth(line) <= 40, line);
});

test('plot: the terminal speaks Chinese in columns', () => {
  const runs = [curves('甲', KNOWN), curves('runs/b', KNOWN)];
  const lines = drawRunsAsText(runs, { width: 60, language: 'zh', paint: createPaint(false) });
  assert.deepEqual(lines.slice(-3), [
    '        步数  平滑损失  最佳验证  所在步  词元/秒  用时',
    '甲       101    0.1000    10.000      51   10,000  0:05',
    'runs/b   101    0.1000    10.000      51   10,000  0:05',
  ]);
});

const TUNED = {
  setting: { threads: 2, microBatch: 4 },
  tokensPerSec: 10_000,
  fastest: { threads: 2, microBatch: 4 },
  timesOneThread: 2,
  timesPresent: 1,
  uselessThreads: [],
  doubts: [],
};

test('plot: a tuning is a bar for each setting, as high as it is fast, the best one in colour', () => {
  const measurements = [
    madeUp({ threads: 1, ms: [200, 200, 200] }),
    madeUp({ threads: 2, ms: [100, 100, 100] }),
    madeUp({ threads: 2, microBatch: 8, ms: [] }),
  ];
  const svg = parse(drawTuning(measurements, TUNED));
  assert.equal(svg.querySelector('title')?.textContent, 'best: threads 2, micro_batch 4, 10,000 tokens/s');
  const [plot] = panelsOf(svg);
  assert.deepEqual(texts(plot, 'fx-axis tick label'), ['1 thread', '2 threads']);
  const bars = [...plot.querySelectorAll('[aria-label="bar"] rect')];
  assert.deepEqual(
    bars.map((bar) => bar.getAttribute('fill')),
    ['#b8c0cc', '#4269d0'],
  );
  const [slow, fast] = bars.map((bar) => Number(bar.getAttribute('height')));
  // 5 000 against 10 000 tokens/s.
  near(fast, 2 * slow);
});

test('plot: what another precision makes of the best setting is a frame as much higher, with its name', () => {
  const fp32 = madeUp({ threads: 2, ms: [100, 100, 100] });
  const comparison = {
    present: fp32,
    other: madeUp({ threads: 2, ms: [80, 80, 80] }),
    precisions: { present: 'fp32', other: 'bf16' },
    isEmulated: false,
  } as const;
  const svg = parse(drawTuning([fp32], TUNED, comparison));
  const best = 'best: threads 2, micro_batch 4, 10,000 tokens/s';
  assert.equal(svg.querySelector('title')?.textContent, `${best}; bf16: 1.25 times as fast`);
  const [plot] = panelsOf(svg);
  const rects = [...plot.querySelectorAll('[aria-label="bar"] rect')];
  const [bar, frame] = rects.map((rect) => Number(rect.getAttribute('height')));
  near(frame, 1.25 * bar);
  assert.deepEqual(texts(plot, 'text'), ['bf16']);
});
