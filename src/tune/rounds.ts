// The course of a measurement: rounds in which every setting has its turn, so that whatever drifts hits all alike; hopeless
// settings leave early, promising numbers of threads bring in other micro-batch sizes. Knows neither engine nor screen.

import { type Measurement, tokensPerSec, type Visit } from './measurement.js';
import { firstSettings, type Grid, isSame, otherSizes, type Setting } from './settings.js';

/** A setting made ready to be measured. */
export interface Trial {
  /** Runs the steps that all settings run. */
  visit(): Promise<Omit<Visit, 'round'>>;
  close(): Promise<void>;
}

export interface RoundsOptions {
  readonly grid: Grid;
  readonly budgetMs: number;
  /** Null if there isn't memory enough for one more. */
  open(setting: Setting): Promise<Trial | null>;
  /** Milliseconds by a clock that doesn't go back. */
  readonly now: () => number;
  readonly isCancelled: () => boolean;
  readonly onProgress: (progress: Progress) => void;
}

export interface Progress {
  readonly round: number;
  readonly elapsedMs: number;
  /** What is being measured now. */
  readonly current: Setting | null;
  /** What else is being measured, after the rounds. */
  readonly afterwards?: string;
  /** All settings that have come up so far, in the order of threads and size. */
  readonly measurements: readonly Measurement[];
}

/** After so many rounds the other sizes come in. */
const ROUNDS_OF_FIRST_SETTINGS = 2;
/** Numbers of threads this near to the best may win with another size. */
const PROMISING = 0.85;
/** A setting slower than this share of the best in its first round, or than the second in two rounds, leaves. */
const HOPELESS_AT_ONCE = 0.5;
const HOPELESS = 0.85;
/** More tell no more. */
const MOST_VISITS = 16;

interface Entry {
  readonly setting: Setting;
  readonly visits: Visit[];
  state: Measurement['state'];
  trial: Trial | null;
  /** How long its last turn took, opening included. */
  turnMs: number;
}

/** Measures until the budget is spent (one setting in any case), or every setting left has been measured often enough. Closes what it opened. */
export async function measureRounds(options: RoundsOptions): Promise<Measurement[]> {
  const { grid, budgetMs, now, isCancelled } = options;
  const started = now();
  const entries: Entry[] = firstSettings(grid).map(newEntry);
  const elapsed = () => now() - started;
  /**
   * Whether a turn that takes as long as the last one ends in time; unknown ones are tried while there is a quarter left. The
   * very first has its turn in any case: one figure is more than none.
   */
  const hasTimeFor = (entry: Entry) => {
    if (entries.every(({ turnMs }) => turnMs === 0)) return true;
    return entry.turnMs > 0 ? elapsed() + entry.turnMs <= budgetMs : elapsed() <= budgetMs * 0.75;
  };
  const report = (round: number, current: Setting | null) =>
    options.onProgress({ round, elapsedMs: elapsed(), current, measurements: toMeasurements(entries) });

  try {
    for (let round = 1; !isCancelled(); round++) {
      if (round === ROUNDS_OF_FIRST_SETTINGS + 1) addSizes(entries, grid);
      const due = entries.filter(({ state, visits }) => state === 'measuring' && visits.length < MOST_VISITS);
      // There and back again: the one before is another one every second round.
      if (round % 2 === 0) due.reverse();
      const turns = due.filter(hasTimeFor);
      if (turns.length === 0) break;
      for (const entry of turns) {
        if (isCancelled() || !hasTimeFor(entry)) continue;
        report(round, entry.setting);
        await takeTurn(entry, round, options);
      }
      for (const entry of entries) await dropIfHopeless(entry, entries, grid, round);
    }
    report(0, null);
    return toMeasurements(entries);
  } finally {
    for (const { trial } of entries) await trial?.close();
  }
}

function newEntry(setting: Setting): Entry {
  return { setting, visits: [], state: 'measuring', trial: null, turnMs: 0 };
}

async function takeTurn(entry: Entry, round: number, { open, now }: RoundsOptions): Promise<void> {
  const started = now();
  const isNew = entry.trial === null;
  entry.trial ??= await open(entry.setting);
  if (entry.trial === null) {
    entry.state = 'too-large';
    return;
  }
  const visit = await entry.trial.visit();
  entry.visits.push({ round, ...visit });
  // Opening happens once; a guess from the first turn alone would keep it from a second one.
  entry.turnMs = isNew ? visit.ms * 1.5 : now() - started;
}

/** For the numbers of threads that may still win: all sizes. */
function addSizes(entries: Entry[], grid: Grid): void {
  const best = bestSpeed(entries);
  const promising = new Set(
    entries.filter((entry) => speedOf(entry) >= PROMISING * best).map(({ setting }) => setting.threads),
  );
  const more = [...promising].flatMap((threads) => otherSizes(threads, grid));
  entries.push(...more.filter((a) => !entries.some((b) => isSame(a, b.setting))).map(newEntry));
}

/** One thread and the present setting stay: the recommendation is compared with them. */
async function dropIfHopeless(entry: Entry, entries: readonly Entry[], grid: Grid, round: number): Promise<void> {
  const { setting, visits, state } = entry;
  if (state !== 'measuring' || visits.length === 0 || setting.threads === 1 || isSame(setting, grid.present)) return;
  const isSlower = (visit: Visit, share: number) => {
    const inRound = entries.flatMap((other) => other.visits.filter((v) => v.round === visit.round));
    return visit.tokens / visit.ms < share * Math.max(...inRound.map(({ tokens, ms }) => tokens / ms));
  };
  const last = visits.slice(-2);
  const isHopeless =
    (visits.length === 1 && isSlower(visits[0], HOPELESS_AT_ONCE)) ||
    (last.length === 2 && last.every((visit) => isSlower(visit, HOPELESS)));
  if (!isHopeless || round === 0) return;
  entry.state = 'dropped';
  await entry.trial?.close();
  entry.trial = null;
}

function bestSpeed(entries: readonly Entry[]): number {
  return Math.max(...entries.map(speedOf).filter(Number.isFinite));
}

function speedOf(entry: Entry): number {
  return tokensPerSec(entry);
}

function toMeasurements(entries: readonly Entry[]): Measurement[] {
  return entries
    .map(({ setting, visits, state }) => ({ setting, visits: [...visits], state }))
    .sort((a, b) => a.setting.threads - b.setting.threads || a.setting.microBatch - b.setting.microBatch);
}
