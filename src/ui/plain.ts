// Training as lines of text: for log files, for terminals without a dashboard, for screen readers, for programs.
// No escape codes; the lines for people fit into 80 columns, except where a path is longer.

import type { TrainEvent } from '../trainer/events.js';
import { remainingMs, tokensPerSecNow } from './figures.js';
import {
  formatCount,
  formatCounted,
  formatDuration,
  formatLearningRate,
  formatLoss,
  formatMs,
  formatNorm,
} from './format.js';
import { createViewState, reduceView, type ViewState } from './state.js';
import { formatSummary } from './summary.js';
import { clean, truncate, wrap } from './text.js';

export interface PrinterOptions {
  readonly write: (text: string) => void;
  /** See SummaryOptions. */
  readonly trainFlags?: string;
}

export interface PlainPrinterOptions extends PrinterOptions {
  /** Milliseconds by a clock that doesn't go back. */
  readonly now?: () => number;
  /** One line for every so many steps. */
  readonly every?: number;
  /** What has happened already, where the printer takes over in the middle. */
  readonly view?: ViewState;
}

const WIDTH = 80;
const LABEL_WIDTH = 9;
/** `99,999` */
const RATE_WIDTH = 6;

/** A block at the start, a line every 10 steps and for whatever else happens, a summary at the end. */
export function createPlainPrinter(options: PlainPrinterOptions): (event: TrainEvent) => void {
  const { write, every = 10 } = options;
  const clock = options.now ?? (() => performance.now());
  let view = options.view ?? createViewState();
  return (event) => {
    view = reduceView(view, event, clock());
    for (const line of linesFor(event, view, every)) write(`${line}\n`);
    if (event.type === 'end') write(formatSummary(view, { hasWarnings: false, trainFlags: options.trainFlags }));
  };
}

/** Each event as one JSON object on one line; numbers that JSON lacks as texts, "NaN" or "Infinity", like in metrics.jsonl. */
export function createJsonPrinter({ write }: PrinterOptions): (event: TrainEvent) => void {
  return (event) => write(`${JSON.stringify(event, (_, value) => (isUnwritable(value) ? String(value) : value))}\n`);
}

function isUnwritable(value: unknown): boolean {
  return typeof value === 'number' && !Number.isFinite(value);
}

/** Warnings as they come, and the summary. */
export function createQuietPrinter({ write, trainFlags }: PrinterOptions): (event: TrainEvent) => void {
  let view = createViewState();
  return (event) => {
    view = reduceView(view, event, 0);
    if (event.type === 'notice' && event.level === 'warning') write(`${noticeLines(event).join('\n')}\n`);
    if (event.type === 'end') write(formatSummary(view, { hasWarnings: false, trainFlags }));
  };
}

function linesFor(event: TrainEvent, view: ViewState, every: number): string[] {
  switch (event.type) {
    case 'start':
      return startLines(event);
    case 'step':
      return event.step % every === 0 || view.totals.steps === 1 ? [stepLine(event, view)] : [];
    case 'evaluation': {
      const best = event.isBest ? 'best so far' : `best ${formatLoss(event.bestEvalLoss)}`;
      const text = `${place('eval', event.step, view)}  loss ${formatLoss(event.evalLoss)}  ${best}`;
      return [`${text}  ${formatMs(event.evalMs)}`];
    }
    case 'samples':
      return sampleLines(event);
    case 'checkpoint':
      return [labelled('saved', `${clean(event.path)}  step ${formatCount(event.step)}  ${formatMs(event.writeMs)}`)];
    case 'notice':
      return noticeLines(event);
    case 'end':
      return [];
  }
}

function startLines(event: TrainEvent & { type: 'start' }): string[] {
  const { shape, engine } = event;
  const truncated = event.truncated > 0 ? `, ${formatCount(event.truncated)} cut to ${shape.seqLen} tokens` : '';
  const first = event.startStep > 0 ? `${formatCount(event.startStep + 1)} to ` : '';
  const isOver = event.startStep >= event.maxSteps;
  const steps = isOver
    ? `all ${formatCount(event.maxSteps)} are done; a larger training.max_steps would go on`
    : `${first}${formatCount(event.maxSteps)}, ${formatCount(event.stepsPerEpoch)} per epoch, ` +
      `evaluation every ${formatCount(event.evalInterval)}`;
  const texts: [string, string][] = [
    [
      'model',
      `${formatCount(event.parameterCount)} parameters: ${shape.nLayer} layers, ${shape.nHead} heads, ` +
        `${shape.nEmbd} channels, ${formatCount(shape.vocabSize)} tokens`,
    ],
    [
      'data',
      `${formatCount(event.trainSamples)} samples (${formatCount(event.trainDistinct)} distinct${truncated}), ` +
        `${formatCount(event.valSamples)} for validation`,
    ],
    ['engine', clean(`${engine.name} ${engine.detail} ${engine.precision}`)],
    [
      'workers',
      `${event.workers}, for ${formatCounted(event.microBatches, 'micro-batch', 'es')} of ${microBatch(event)}`,
    ],
    ['steps', steps],
    ['folder', clean(event.saveDir)],
  ];
  return texts.flatMap(([label, text]) => wrapped(label, text));
}

function microBatch(event: TrainEvent & { type: 'start' }): string {
  return formatCounted(Math.round(event.batchSize / Math.max(1, event.microBatches)), 'sample');
}

/** The figures in columns; closer together where that would be too wide, and at last without the time left. */
function stepLine(event: TrainEvent & { type: 'step' }, view: ViewState): string {
  const left = remainingMs(view);
  const parts = [
    place('step', event.step, view),
    `loss ${formatLoss(event.loss)}`,
    `lr ${formatLearningRate(event.lr)}`,
    `grad ${formatNorm(event.gradNorm)}`,
    `${formatCount(tokensPerSecNow(view) ?? 0).padStart(RATE_WIDTH)} tok/s`,
    `ETA ${left === null ? '-' : formatDuration(left)}`,
  ];
  const forms = [parts.join('  '), parts.join(' ').replace(/ +/g, ' '), parts.slice(0, -1).join(' ')];
  return forms.find((line) => line.length <= WIDTH) ?? forms[2];
}

/** `step    10/2,000` */
function place(label: string, step: number, view: ViewState): string {
  const total = formatCount(view.start?.maxSteps ?? step);
  return `${label} ${formatCount(step).padStart(total.length)}/${total}`;
}

/** How many are right, and the first one in words: always the same prompt, so that one sees it learn. */
function sampleLines({ items }: TrainEvent & { type: 'samples' }): string[] {
  if (items.length === 0) return [];
  const texts = items.map((item) => [clean(item.prompt), clean(item.answer), clean(item.expected)]);
  const right = texts.filter(([, answer, expected]) => answer === expected).length;
  const text = `${right} of ${items.length} right; ${texts[0][0]} ${texts[0][1]}`;
  return [labelled('answers', truncate(text, WIDTH - LABEL_WIDTH))];
}

function noticeLines(event: TrainEvent & { type: 'notice' }): string[] {
  return wrapped(event.level === 'warning' ? 'warning' : 'note', clean(event.message));
}

function wrapped(label: string, text: string): string[] {
  return wrap(text, WIDTH - LABEL_WIDTH).map((line, i) => labelled(i === 0 ? label : '', line));
}

function labelled(label: string, text: string): string {
  return label.padEnd(LABEL_WIDTH) + text;
}
