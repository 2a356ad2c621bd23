// What "now" means: sums over the last seconds of training in which older steps count less and less.
// Ratios of such sums are steady to the eye, right from the first step, and need no memory of single steps.

import type { StepEvent, StepPhases, WorkerFigures } from '../trainer/events.js';

export interface Rates {
  readonly ms: number;
  readonly steps: number;
  readonly tokens: number;
  readonly flops: number;
  readonly phases: StepPhases;
}

export interface WorkerRow {
  readonly rank: number;
  /** Decayed sums, as in Rates. */
  readonly ms: number;
  readonly tokens: number;
  readonly busyMs: number;
  readonly waitMs: number;
  /** Micro-batches since the run began. */
  readonly done: number;
  /** Tokens per second, one value per SAMPLE_MS of training, oldest first. */
  readonly history: readonly number[];
}

/** After this much training time a step counts 1/e of a new one. */
const TAU_MS = 2000;
/** The same for the pace: a step that takes long now hardly moves the time that is left. */
const PACE_TAU_MS = 15_000;
/** A sparkline gets a value this often, and keeps this many. */
export const SAMPLE_MS = 1000;
const HISTORY_LENGTH = 60;

export const NO_RATES: Rates = {
  ms: 0,
  steps: 0,
  tokens: 0,
  flops: 0,
  phases: { forward: 0, backward: 0, reduce: 0, update: 0, wait: 0 },
};

export function addToRates(rates: Rates, step: StepEvent): Rates {
  const keep = decay(step.stepMs);
  const { phases } = step;
  return {
    ms: rates.ms * keep + step.stepMs,
    steps: rates.steps * keep + 1,
    tokens: rates.tokens * keep + step.tokens,
    flops: rates.flops * keep + step.flops,
    phases: {
      forward: rates.phases.forward * keep + phases.forward,
      backward: rates.phases.backward * keep + phases.backward,
      reduce: rates.phases.reduce * keep + phases.reduce,
      update: rates.phases.update * keep + phases.update,
      wait: rates.phases.wait * keep + phases.wait,
    },
  };
}

export function addToPace({ ms, steps }: Pick<Rates, 'ms' | 'steps'>, stepMs: number): Pick<Rates, 'ms' | 'steps'> {
  const keep = decay(stepMs, PACE_TAU_MS);
  return { ms: ms * keep + stepMs, steps: steps * keep + 1 };
}

/** One row for each worker of the step; a worker that is gone loses its row. */
export function addToWorkers(rows: readonly WorkerRow[], step: StepEvent, isSample: boolean): WorkerRow[] {
  return step.workers.map((figures) => {
    const row = addFigures(rows.find((r) => r.rank === figures.rank) ?? emptyRow(figures.rank), figures, step.stepMs);
    return isSample
      ? { ...row, history: appendBounded(row.history, perSecond(row.tokens, row.ms), HISTORY_LENGTH) }
      : row;
  });
}

/** Amount per second of `ms` milliseconds; 0 before anything was measured. */
export function perSecond(amount: number, ms: number): number {
  return ms > 0 ? (amount / ms) * 1000 : 0;
}

/** The list with one more at the end, and the oldest gone once there are more than `limit`. */
export function appendBounded<T>(list: readonly T[], item: T, limit: number): T[] {
  return [...list.slice(Math.max(0, list.length + 1 - limit)), item];
}

function addFigures(row: WorkerRow, figures: WorkerFigures, stepMs: number): WorkerRow {
  const keep = decay(stepMs);
  return {
    rank: row.rank,
    ms: row.ms * keep + stepMs,
    tokens: row.tokens * keep + figures.tokens,
    busyMs: row.busyMs * keep + figures.busy * stepMs,
    waitMs: row.waitMs * keep + figures.wait * stepMs,
    done: row.done + figures.microBatches,
    history: row.history,
  };
}

/** Of a worker that hasn't done anything yet. */
export function emptyRow(rank: number): WorkerRow {
  return { rank, ms: 0, tokens: 0, busyMs: 0, waitMs: 0, done: 0, history: [] };
}

function decay(stepMs: number, tauMs = TAU_MS): number {
  return Math.exp(-stepMs / tauMs);
}
