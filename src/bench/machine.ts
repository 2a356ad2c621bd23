// What the machine can do at most: multiply-adds and memory traffic, of one thread and of all together.

import { freemem } from 'node:os';
import { requireAddon } from '../engine/native.js';
import { largestCacheBytes } from '../machine/cache.js';
import type { Effort } from './effort.js';
import { roundsThatTake } from './peak.js';
import type { MemoryFigures, Peak, Precision } from './report.js';
import { openTeam, type Team } from './team.js';

export interface MachineFigures {
  readonly peaks: Readonly<Record<Precision, Peak | null>>;
  readonly memory: MemoryFigures;
}

/** `onPart` hears what is measured next, and may throw to end the measurement. */
export async function measureMachine(
  isa: string,
  threads: number,
  effort: Effort,
  onPart: (what: string) => Promise<void>,
): Promise<MachineFigures> {
  const team = await openTeam({ threads, isa, memoryBytes: memoryBytes(largestCacheBytes(), availableMemory()) });
  try {
    await onPart('peak');
    const fp32 = await measurePeak(team, isa, 'fp32', effort);
    const bf16 = await measurePeak(team, isa, 'bf16', effort);
    await onPart('memory');
    return { peaks: { fp32, bf16 }, memory: await measureMemory(team, effort) };
  } finally {
    await team.close();
  }
}

async function measurePeak(team: Team, isa: string, precision: Precision, effort: Effort): Promise<Peak | null> {
  const count = roundsThatTake(requireAddon(), isa, precision, effort.peakRoundMs);
  if (count === null) return null;
  const job = { kind: 'peak', precision, count, repeats: effort.peakRounds } as const;
  const gflops = async (threads: number) => (await team.run(job, threads)) / 1e6;
  return { oneThread: await gflops(1), threads: team.threads, allThreads: await gflops(team.threads) };
}

const PARTS = 8;

async function measureMemory(team: Team, { memoryPasses }: Effort): Promise<MemoryFigures> {
  const both = async (kind: 'read' | 'triad') => {
    const job = { kind, parts: PARTS, repeats: PARTS * memoryPasses };
    const gbPerSec = async (threads: number) => (await team.run(job, threads)) / 1e6;
    return { oneThread: await gbPerSec(1), allThreads: await gbPerSec(team.threads) };
  };
  return { bytes: team.memoryBytes, threads: team.threads, read: await both('read'), triad: await both('triad') };
}

/** So many times the largest cache, so that hardly anything of one pass is left there for the next: STREAM's rule. */
const TIMES_CACHE = 4;
const UNKNOWN_CACHE_BYTES = 32 * 2 ** 20;
const LEAST_BYTES = 64 * 2 ** 20;
const MOST_SHARE_OF_MEMORY = 0.25;

export function memoryBytes(cacheBytes: number | null, availableBytes: number): number {
  const wanted = Math.max(LEAST_BYTES, TIMES_CACHE * (cacheBytes ?? UNKNOWN_CACHE_BYTES));
  return Math.floor(Math.min(wanted, MOST_SHARE_OF_MEMORY * availableBytes));
}

/** Within a container, what its limit leaves; Node tells that from 20.13 on. */
function availableMemory(): number {
  return process.availableMemory?.() ?? freemem();
}
