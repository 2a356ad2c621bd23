// Numbers derived from the view: rates, shares, the time that is left. Null where there is nothing to tell yet.

import type { StartEvent } from '../trainer/events.js';
import type { Range } from './charts/scale.js';
import { perSecond } from './rates.js';
import type { ViewState } from './state.js';

/** Tokens per second of training, over the last seconds. */
export function tokensPerSecNow(view: ViewState): number | null {
  return view.rates.ms > 0 ? perSecond(view.rates.tokens, view.rates.ms) : null;
}

/** The same since this process began. */
export function tokensPerSecMean(view: ViewState): number | null {
  return view.totals.stepMs > 0 ? perSecond(view.totals.tokens, view.totals.stepMs) : null;
}

/** FLOPs of the steps against what the machine was measured to do, 0 to 1. */
export function shareOfPeak(flops: number, ms: number, peakGflops: number | null): number | null {
  if (peakGflops === null || peakGflops <= 0 || ms <= 0) return null;
  return flops / ms / 1e6 / peakGflops;
}

/** Whether there are answers of the model, or will be. */
export function hasSamples({ start, samples, lastEvaluation }: ViewState): boolean {
  if (samples !== null || start === null) return true;
  return start.samplePrompts === null ? lastEvaluation === null : start.samplePrompts > 0;
}

/** The last finished step. */
export function currentStep(view: ViewState): number {
  return view.lastStep?.step ?? view.start?.startStep ?? 0;
}

/** Finished share of all steps, 0 to 1. */
export function progress(view: ViewState): number {
  const total = view.start?.maxSteps ?? 0;
  return total > 0 ? Math.min(1, currentStep(view) / total) : 0;
}

/** Milliseconds until the last step, evaluations included, at the speed of the last half minute or so. */
export function remainingMs(view: ViewState): number | null {
  const { start, pace, totals } = view;
  if (start === null || pace.steps === 0) return null;
  const step = currentStep(view);
  const interval = Math.max(1, start.evalInterval);
  const evaluations = Math.floor(start.maxSteps / interval) - Math.floor(step / interval);
  const evalMs = totals.evaluations > 0 ? totals.evalMs / totals.evaluations : 0;
  return Math.max(0, start.maxSteps - step) * (pace.ms / pace.steps) + Math.max(0, evaluations) * evalMs;
}

export interface PhaseShare {
  readonly name: string;
  /** Per step. */
  readonly ms: number;
  /** Of a step with its share of the evaluations, 0 to 1. */
  readonly share: number;
}

/** Where the time of a step goes; what no phase accounts for is `other`. Empty before the first step. */
export function phaseShares(view: ViewState): PhaseShare[] {
  const { rates, totals } = view;
  if (rates.steps === 0) return [];
  const per = (sum: number) => sum / rates.steps;
  const { forward, backward, reduce, update, wait } = rates.phases;
  const evaluation = totals.evalMs / totals.steps;
  const total = per(rates.ms) + evaluation;
  const other = per(rates.ms - forward - backward - reduce - update - wait);
  const phases: [string, number][] = [
    ['forward', per(forward)],
    ['backward', per(backward)],
    ['reduce', per(reduce)],
    ['update', per(update)],
    ['wait', per(wait)],
    ['evaluation', evaluation],
    ['other', Math.max(0, other)],
  ];
  return phases.map(([name, ms]) => ({ name, ms, share: total > 0 ? ms / total : 0 }));
}

/** Milliseconds of one step, over the last seconds. */
export function stepMsNow(view: ViewState): number | null {
  return view.rates.steps > 0 ? view.rates.ms / view.rates.steps : null;
}

type Schedule = Pick<StartEvent, 'warmupSteps' | 'maxSteps' | 'peakLr' | 'minLr'>;

/** The learning rate of a step as a share of its peak: linear warm-up to 1, then half a cosine to the lowest rate. */
export function scheduleShare({ warmupSteps, maxSteps, peakLr, minLr }: Schedule, step: number): number {
  if (step < warmupSteps) return step / warmupSteps;
  const least = peakLr !== null && minLr !== null && peakLr > 0 ? minLr / peakLr : 0;
  const share = (step - warmupSteps) / Math.max(1, maxSteps - warmupSteps);
  return least + ((1 - least) * (1 + Math.cos(Math.PI * Math.min(1, share)))) / 2;
}

/**
 * Steps that the charts show: the whole run, or as long as it is young the half, quarter, eighth... that contains it.
 * So a chart is always at least half full, and rescales only when the run has doubled.
 */
export function chartSteps(view: ViewState): Range {
  const min = view.start?.startStep ?? 0;
  const step = currentStep(view);
  let span = Math.max(1, (view.start?.maxSteps ?? 1) - min);
  while (span > 16 && min + span / 2 >= step) span = Math.ceil(span / 2);
  return { min, max: min + span };
}
