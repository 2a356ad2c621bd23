// Measurements -> the setting to use, by how much it is better, and whether one can be sure. Pure.

import { type Measurement, timeRatio, tokensPerSec } from './measurement.js';
import { isSame, type Setting } from './settings.js';
import { median } from './statistics.js';

export interface Circumstances {
  readonly present: Setting;
  readonly logical: number;
  readonly physical: number;
  /** Processors that other programs kept busy meanwhile; null where that can't be told. */
  readonly othersBusy: number | null;
}

export interface Recommendation {
  readonly setting: Setting;
  readonly tokensPerSec: number;
  /** The one with the most tokens/s; where it isn't the recommended one, it is so little faster that it doesn't matter. */
  readonly fastest: Setting;
  /** How many times as fast as one thread with the same size, and as the present setting; null where that wasn't measured. */
  readonly timesOneThread: number | null;
  readonly timesPresent: number | null;
  /** Numbers of threads beyond the recommended one that were measured and are no faster, ascending. */
  readonly uselessThreads: readonly number[];
  /** Why one can't be sure; empty if one can. */
  readonly doubts: readonly Doubt[];
}

export type Doubt =
  | { readonly kind: 'few-rounds'; readonly rounds: number }
  /** The figures of two settings scatter so much that either may be the faster one. */
  | { readonly kind: 'scatter'; readonly other: Setting; readonly ratio: number; readonly error: number }
  | { readonly kind: 'others-busy'; readonly processors: number; readonly free: number }
  | { readonly kind: 'starved'; readonly share: number };

/** Differences below this don't matter: the simpler setting wins. */
export const NEGLIGIBLE = 0.02;
/** A difference that may be this large isn't negligible. */
const NOTABLE = 0.04;
/** Standard errors that a difference must exceed: about 95 %. */
const CONFIDENCE = 2;
export const FEWEST_ROUNDS = 3;
/** Processors that other programs may use beyond those left free before they disturb. */
const OTHERS_ALLOWED = 0.25;
/** The main thread and the system take a little of every processor. */
const STARVED_ALLOWED = 0.08;

/** Null if nothing was measured. */
export function recommend(measurements: readonly Measurement[], circumstances: Circumstances): Recommendation | null {
  const measured = measurements.filter(({ visits }) => visits.length > 0);
  const enough = measured.filter(({ visits }) => visits.length >= FEWEST_ROUNDS);
  const candidates = enough.length > 0 ? enough : measured;
  if (candidates.length === 0) return null;
  const fastest = candidates.reduce((a, b) => (tokensPerSec(b) > tokensPerSec(a) ? b : a));
  const equals = candidates.filter((m) => slowdown(m, fastest) <= 1 + NEGLIGIBLE);
  const chosen = equals.reduce((a, b) => (isSimpler(b, a, circumstances.present) ? b : a));
  const speed = tokensPerSec(chosen);
  const fasterThan = (others: readonly Measurement[]) => {
    const best = Math.max(...others.map(tokensPerSec));
    return Number.isFinite(best) ? speed / best : null;
  };
  return {
    setting: chosen.setting,
    tokensPerSec: speed,
    fastest: fastest.setting,
    timesOneThread: timesOneThread(measured, chosen),
    timesPresent: fasterThan(measured.filter(({ setting }) => isSame(setting, circumstances.present))),
    uselessThreads: uselessThreads(measured, chosen),
    doubts: findDoubts(candidates, chosen, circumstances),
  };
}

/** By the same size: what another size gains is no merit of the threads. The recommended one if it was measured with one thread. */
function timesOneThread(measured: readonly Measurement[], chosen: Measurement): number | null {
  const pairs = measured
    .filter(({ setting }) => setting.threads === 1)
    .flatMap((one) => {
      const wanted = { threads: chosen.setting.threads, microBatch: one.setting.microBatch };
      const several = measured.find(({ setting }) => isSame(setting, wanted));
      return several === undefined ? [] : [{ one, several }];
    });
  const pair = pairs.find(({ several }) => several === chosen) ?? pairs[0];
  return pair === undefined ? null : slowdown(pair.one, pair.several);
}

/** Fewer threads first: they leave processors to others. Then the size that is set already, then the faster one. */
function isSimpler(a: Measurement, b: Measurement, present: Setting): boolean {
  const rank = ({ setting }: Measurement) => [setting.threads, setting.microBatch === present.microBatch ? 0 : 1];
  const [[threadsA, sizeA], [threadsB, sizeB]] = [rank(a), rank(b)];
  if (threadsA !== threadsB) return threadsA < threadsB;
  return sizeA === sizeB ? tokensPerSec(a) > tokensPerSec(b) : sizeA < sizeB;
}

/** Round by round where possible: drift of the machine then hits both. */
function slowdown(m: Measurement, reference: Measurement): number {
  if (m === reference) return 1;
  const { value } = timeRatio(m, reference);
  return Number.isFinite(value) ? value : tokensPerSec(reference) / tokensPerSec(m);
}

function uselessThreads(measured: readonly Measurement[], chosen: Measurement): number[] {
  const more = [...new Set(measured.map(({ setting }) => setting.threads))].filter((n) => n > chosen.setting.threads);
  return more.sort((a, b) => a - b);
}

function findDoubts(
  candidates: readonly Measurement[],
  chosen: Measurement,
  { logical, othersBusy }: Circumstances,
): Doubt[] {
  const doubts: Doubt[] = [];
  const rounds = chosen.visits.length;
  if (rounds < FEWEST_ROUNDS) doubts.push({ kind: 'few-rounds', rounds });
  const worst = candidates.map((m) => scatter(m, chosen)).filter((doubt) => doubt !== null);
  if (worst.length > 0) doubts.push(worst.reduce((a, b) => (b.error > a.error ? b : a)));
  const used = Math.max(...candidates.map(({ setting }) => setting.threads));
  const free = Math.max(0, logical - used);
  if (othersBusy !== null && othersBusy > free + OTHERS_ALLOWED) {
    doubts.push({ kind: 'others-busy', processors: othersBusy, free });
  }
  const share = median(chosen.visits.map(({ starved }) => starved));
  if (share > STARVED_ALLOWED) doubts.push({ kind: 'starved', share });
  return doubts;
}

/** Whether the other setting may be notably faster after all. */
function scatter(other: Measurement, chosen: Measurement): (Doubt & { kind: 'scatter' }) | null {
  if (other === chosen) return null;
  const { value: ratio, error } = timeRatio(other, chosen);
  // Too few rounds in common: that is a doubt of its own, unless the other was dropped for being hopeless.
  if (!Number.isFinite(error)) return null;
  return ratio - CONFIDENCE * error < 1 - NOTABLE ? { kind: 'scatter', other: other.setting, ratio, error } : null;
}
