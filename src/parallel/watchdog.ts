// Notices workers that are alive and get nowhere: an endless loop, a deadlock. Looks at their signs of life, not at how long a
// task takes, so large models are no false alarm.

import type { Activity } from './control.js';

/** What the watchdog sees of the team; `Control` has it. */
export interface SignsOfLife {
  beats(rank: number): number;
  activity(rank: number): Activity;
}

export interface Stall {
  readonly rank: number;
  readonly activity: Activity;
  readonly stalledMs: number;
}

export interface WatchOptions {
  readonly signs: SignsOfLife;
  /** Ranks whose task has not ended. */
  readonly pending: ReadonlySet<number>;
  /** Longest time without a sign of life. */
  readonly patienceMs: number;
}

/** A thread that hasn't begun its task may still be starting: loading modules takes seconds on a busy machine. */
const START_PATIENCE_MS = 60_000;
const LONGEST_TICK_MS = 500;

/** Calls `onStall` once, for the first worker that shows no sign of life for too long. Returns the function that ends the watch. */
export function watchWorkers(options: WatchOptions, onStall: (stall: Stall) => void): () => void {
  const tickMs = Math.min(LONGEST_TICK_MS, options.patienceMs / 8);
  const check = createStallCheck(options, tickMs);
  const timer = setInterval(() => {
    const stall = check();
    if (stall === null) return;
    clearInterval(timer);
    onStall(stall);
  }, tickMs);
  timer.unref();
  return () => clearInterval(timer);
}

/**
 * A function to be called every `tickMs`. Time is counted in its calls, not by the clock: when the whole process was stopped
 * (Ctrl-Z, a laptop asleep), the hours in between count as one tick.
 */
export function createStallCheck({ signs, pending, patienceMs }: WatchOptions, tickMs: number): () => Stall | null {
  const seen = new Map<number, { beats: number; stalledMs: number }>();
  return () => {
    for (const rank of pending) {
      const beats = signs.beats(rank);
      const before = seen.get(rank);
      seen.set(rank, { beats, stalledMs: before?.beats === beats ? before.stalledMs + tickMs : 0 });
    }
    const stalls = [...pending].map((rank) => ({ rank, activity: signs.activity(rank), ...seen.get(rank)! }));
    const isOverdue = ({ activity, stalledMs }: Stall) =>
      stalledMs >= (activity === 'idle' ? Math.max(patienceMs, START_PATIENCE_MS) : patienceMs);
    // Who waits at a barrier waits for another, and is to blame only when everybody has waited too long.
    const working = stalls.filter(({ activity }) => activity !== 'wait');
    const overdue = working.length > 0 ? working.find(isOverdue) : stalls.every(isOverdue) && stalls[0];
    if (overdue) return { rank: overdue.rank, activity: overdue.activity, stalledMs: overdue.stalledMs };
    return null;
  };
}
