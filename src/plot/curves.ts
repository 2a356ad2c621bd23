// A run's events -> the curves of a plot, as long as a picture can show. The same smoothing as the dashboard's.

import type { TrainEvent } from '../trainer/events.js';
import { addToSeries, EMPTY_SERIES, pointsOf, type SeriesPoint } from '../ui/series.js';
import { createViewState, reduceView } from '../ui/state.js';

export interface RunCurves {
  readonly name: string;
  /** All over steps, ascending. */
  readonly trainLoss: readonly SeriesPoint[];
  readonly evalLoss: readonly SeriesPoint[];
  readonly learningRate: readonly SeriesPoint[];
  readonly tokensPerSec: readonly SeriesPoint[];
  readonly figures: RunFigures;
}

/** What a run came to, over all processes that worked on it. */
export interface RunFigures {
  readonly firstStep: number;
  readonly lastStep: number;
  readonly smoothedLoss: number | null;
  readonly bestEvalLoss: number | null;
  readonly bestStep: number | null;
  /** Tokens of all steps by the time of all steps. */
  readonly tokensPerSec: number;
  readonly stepMs: number;
  readonly evalMs: number;
}

/** Null for a run without a step. */
export function curvesOf(name: string, events: readonly TrainEvent[]): RunCurves | null {
  let view = createViewState();
  let learningRate = EMPTY_SERIES;
  let firstStep: number | null = null;
  let best: { readonly step: number; readonly loss: number } | null = null;
  for (const event of events) {
    if (event.type !== 'step' && event.type !== 'evaluation') continue;
    view = reduceView(view, event, 0);
    if (event.type === 'step') {
      firstStep ??= event.step;
      learningRate = addToSeries(learningRate, event.step, event.lr);
    } else if (event.evalLoss < (best?.loss ?? Number.POSITIVE_INFINITY)) {
      best = { step: event.step, loss: event.evalLoss };
    }
  }
  if (firstStep === null || view.lastStep === null) return null;
  const { tokens, stepMs, evalMs } = view.totals;
  return {
    name,
    trainLoss: pointsOf(view.trainLoss),
    evalLoss: pointsOf(view.evalLoss),
    learningRate: pointsOf(learningRate),
    tokensPerSec: pointsOf(view.throughput),
    figures: {
      firstStep,
      lastStep: view.lastStep.step,
      smoothedLoss: view.smoothedLoss,
      bestEvalLoss: best?.loss ?? null,
      bestStep: best?.step ?? null,
      tokensPerSec: stepMs > 0 ? (tokens / stepMs) * 1000 : 0,
      stepMs,
      evalMs,
    },
  };
}
