// What the events so far amount to. A pure reducer in bounded memory: the same events and times give the same view,
// after 100 steps as after a million.

import type {
  CheckpointEvent,
  EndEvent,
  EvaluationEvent,
  SamplesEvent,
  StartEvent,
  StepEvent,
  TrainEvent,
} from '../trainer/events.js';
import { formatCount, formatLoss, formatMs } from './format.js';
import {
  addToPace,
  addToRates,
  addToWorkers,
  appendBounded,
  NO_RATES,
  perSecond,
  type Rates,
  SAMPLE_MS,
  type WorkerRow,
} from './rates.js';
import { addToSeries, EMPTY_SERIES, type Series } from './series.js';
import { clean } from './text.js';

export interface LogEntry {
  /** Milliseconds since the start event. */
  readonly at: number;
  readonly step: number;
  readonly level: 'info' | 'good' | 'warning';
  readonly text: string;
}

export interface ViewState {
  readonly start: StartEvent | null;
  /** When the start event came, by the clock of the caller. */
  readonly startedAt: number;
  readonly lastStep: StepEvent | null;
  /** Exponential mean of the loss; null before the first step. */
  readonly smoothedLoss: number | null;
  /** Smoothed training loss, evaluation loss and tokens/s over steps. */
  readonly trainLoss: Series;
  readonly evalLoss: Series;
  readonly throughput: Series;
  readonly rates: Rates;
  /** Step time and steps over a longer while: what the time that is left is reckoned by. */
  readonly pace: Pick<Rates, 'ms' | 'steps'>;
  readonly workers: readonly WorkerRow[];
  /** Since the start of this process. */
  readonly totals: Totals;
  readonly lastEvaluation: EvaluationEvent | null;
  readonly bestLoss: number | null;
  /** Null where the best is older than this process. */
  readonly bestStep: number | null;
  readonly samples: SamplesEvent | null;
  /** The newest checkpoint of each kind, in the order in which the kinds first came. */
  readonly saved: readonly CheckpointEvent[];
  readonly log: readonly LogEntry[];
  readonly warnings: readonly LogEntry[];
  readonly end: EndEvent | null;
}

export interface Totals {
  readonly steps: number;
  readonly tokens: number;
  readonly stepMs: number;
  readonly flops: number;
  readonly evaluations: number;
  readonly evalMs: number;
  /** Step time since the last value of the sparklines. */
  readonly sinceSampleMs: number;
  /** Sum of the weights of the exponential mean, to correct its start. */
  readonly smoothing: number;
}

/** Share of the old value that each step keeps: an average over about 20 steps. */
const SMOOTHING = 0.95;
const LOG_LENGTH = 64;
const WARNINGS_LENGTH = 8;

export function createViewState(): ViewState {
  return {
    start: null,
    startedAt: 0,
    lastStep: null,
    smoothedLoss: null,
    trainLoss: EMPTY_SERIES,
    evalLoss: EMPTY_SERIES,
    throughput: EMPTY_SERIES,
    rates: NO_RATES,
    pace: NO_RATES,
    workers: [],
    totals: { steps: 0, tokens: 0, stepMs: 0, flops: 0, evaluations: 0, evalMs: 0, sinceSampleMs: 0, smoothing: 0 },
    lastEvaluation: null,
    bestLoss: null,
    bestStep: null,
    samples: null,
    saved: [],
    log: [],
    warnings: [],
    end: null,
  };
}

/** The view after one more event. `now`: milliseconds by any clock that doesn't go back. */
export function reduceView(view: ViewState, event: TrainEvent, now: number): ViewState {
  switch (event.type) {
    case 'start':
      return withLog({ ...view, start: event, startedAt: now, bestLoss: event.bestEvalLoss }, now, startEntry(event));
    case 'step':
      return addStep(view, event);
    case 'evaluation':
      return withLog(addEvaluation(view, event), now, evaluationEntry(event));
    case 'samples':
      return { ...view, samples: event };
    case 'checkpoint':
      return withCheckpoint({ ...view, saved: replaceKind(view.saved, event) }, event, now);
    case 'notice':
      return withLog(view, now, {
        step: event.step,
        level: event.level,
        text: clean(event.message),
      });
    case 'end':
      return withLog({ ...view, end: event }, now, endEntry(event));
  }
}

function addStep(view: ViewState, event: StepEvent): ViewState {
  const totals = addToTotals(view.totals, event);
  const isSample = totals.sinceSampleMs >= SAMPLE_MS;
  const rates = addToRates(view.rates, event);
  const smoothedLoss = smooth(view, event, totals.smoothing);
  return {
    ...view,
    lastStep: event,
    smoothedLoss,
    rates,
    pace: addToPace(view.pace, event.stepMs),
    totals: isSample ? { ...totals, sinceSampleMs: 0 } : totals,
    trainLoss: addToSeries(view.trainLoss, event.step, smoothedLoss),
    throughput: addToSeries(view.throughput, event.step, perSecond(rates.tokens, rates.ms)),
    workers: addToWorkers(view.workers, event, isSample),
  };
}

function addToTotals(totals: Totals, event: StepEvent): Totals {
  return {
    ...totals,
    steps: totals.steps + 1,
    tokens: totals.tokens + event.tokens,
    stepMs: totals.stepMs + event.stepMs,
    flops: totals.flops + event.flops,
    sinceSampleMs: totals.sinceSampleMs + event.stepMs,
    smoothing: Number.isFinite(event.loss) ? totals.smoothing * SMOOTHING + (1 - SMOOTHING) : totals.smoothing,
  };
}

/** Exponential mean, corrected for its start as Adam's moments are. A loss that isn't finite leaves it as it was. */
function smooth(view: ViewState, event: StepEvent, weight: number): number {
  if (!Number.isFinite(event.loss)) return view.smoothedLoss ?? event.loss;
  const sum = (view.smoothedLoss ?? 0) * view.totals.smoothing;
  return (sum * SMOOTHING + event.loss * (1 - SMOOTHING)) / weight;
}

function addEvaluation(view: ViewState, event: EvaluationEvent): ViewState {
  return {
    ...view,
    lastEvaluation: event,
    bestLoss: event.bestEvalLoss,
    bestStep: event.isBest ? event.step : view.bestStep,
    evalLoss: addToSeries(view.evalLoss, event.step, event.evalLoss),
    totals: {
      ...view.totals,
      evaluations: view.totals.evaluations + 1,
      evalMs: view.totals.evalMs + event.evalMs,
    },
  };
}

function withLog(view: ViewState, now: number, entry: Omit<LogEntry, 'at'>): ViewState {
  const full = { at: now - view.startedAt, ...entry };
  return {
    ...view,
    log: appendBounded(view.log, full, LOG_LENGTH),
    warnings: entry.level === 'warning' ? appendBounded(view.warnings, full, WARNINGS_LENGTH) : view.warnings,
  };
}

/** The best is saved after the evaluation that found it: one entry for both. */
function withCheckpoint(view: ViewState, event: CheckpointEvent, now: number): ViewState {
  const isItsEvaluation = (entry: LogEntry) => entry.step === event.step && entry.level === 'good';
  const at = event.kind === 'best' ? view.log.findLastIndex(isItsEvaluation) : -1;
  if (at < 0) {
    const text = `saved ${clean(event.path)} (${formatMs(event.writeMs)})`;
    return withLog(view, now, { step: event.step, level: 'info', text });
  }
  const entry = { ...view.log[at], text: `${view.log[at].text}, saved` };
  return { ...view, log: view.log.with(at, entry) };
}

function startEntry(event: StartEvent): Omit<LogEntry, 'at'> {
  const truncated = event.truncated > 0 ? `, ${formatCount(event.truncated)} cut to ${event.shape.seqLen} tokens` : '';
  const data = `${formatCount(event.trainSamples)} samples (${formatCount(event.trainDistinct)} distinct${truncated})`;
  const text = event.startStep > 0 ? `resumed after step ${formatCount(event.startStep)}, ${data}` : data;
  return { step: event.startStep, level: 'info', text };
}

function evaluationEntry(event: EvaluationEvent): Omit<LogEntry, 'at'> {
  const rest = event.isBest ? 'best so far' : `best ${formatLoss(event.bestEvalLoss)}`;
  return {
    step: event.step,
    level: event.isBest ? 'good' : 'info',
    text: `evaluation ${formatLoss(event.evalLoss)}, ${rest}`,
  };
}

function endEntry(event: EndEvent): Omit<LogEntry, 'at'> {
  const texts: Record<EndEvent['reason'], string> = {
    done: 'training is done',
    stopped: 'stopped, everything is saved',
    'early-stopping': 'stopped early: no better evaluation for long enough',
    diverged: 'diverged: the loss is no longer a number',
  };
  return { step: event.step, level: event.reason === 'diverged' ? 'warning' : 'info', text: texts[event.reason] };
}

function replaceKind(saved: readonly CheckpointEvent[], event: CheckpointEvent): CheckpointEvent[] {
  const isKnown = saved.some((old) => old.kind === event.kind);
  return isKnown ? saved.map((old) => (old.kind === event.kind ? event : old)) : [...saved, event];
}
