// How busy other programs keep the processors: what all of them did, less what this process did.

import { cpus } from 'node:os';
import type { Cores } from '../machine/cores.js';

export interface ProcessorTimes {
  /** Milliseconds by a clock. */
  readonly at: number;
  /** Milliseconds that all processors together were not idle. */
  readonly busy: number;
  /** Milliseconds of them that were this process. */
  readonly own: number;
}

/**
 * Processors that others used between two readings, on average. Null where it can't be told: the system counts no times, or
 * counts processors that this process may not use.
 */
export function othersBusy(before: ProcessorTimes, after: ProcessorTimes, cores: Cores): number | null {
  const elapsed = after.at - before.at;
  const busy = after.busy - before.busy;
  if (cores.usableLogical < cores.logical || elapsed <= 0 || busy <= 0) return null;
  return Math.max(0, busy - (after.own - before.own)) / elapsed;
}

export function readProcessorTimes(): ProcessorTimes {
  const { user, system } = process.cpuUsage();
  const busy = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  return { at: performance.now(), busy, own: (user + system) / 1000 };
}
