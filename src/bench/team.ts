// Threads that do the same at the same time: what one core reaches alone, it may not reach beside others that share its
// memory, its power and its heat.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { createControl } from '../parallel/control.js';
import type { Job, JobMessage, MemberSetup, Repeat } from './member.js';

const ENTRY = new URL('../../workers/measure.js', import.meta.url);

export interface TeamOptions {
  readonly threads: number;
  readonly isa: string;
  readonly memoryBytes: number;
}

export interface Team {
  readonly threads: number;
  readonly memoryBytes: number;
  /** The highest rate of all repeats, in amounts per millisecond: FLOPs or bytes. */
  run(job: Job, threads: number): Promise<number>;
  close(): Promise<void>;
}

export async function openTeam({ threads, isa, memoryBytes }: TeamOptions): Promise<Team> {
  const control = createControl(0);
  const memory = new SharedArrayBuffer(Math.ceil(memoryBytes / 12) * 12);
  const workers = Array.from({ length: threads }, (_, rank) => {
    const workerData: MemberSetup = { rank, ranks: threads, isa, control, memory };
    return new Worker(ENTRY, { workerData });
  });
  const close = async () => {
    await Promise.all(workers.map((worker) => worker.terminate()));
  };
  try {
    await Promise.all(workers.map((worker) => once(worker, 'message')));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    threads,
    memoryBytes: memory.byteLength,
    async run(job, count) {
      const answers = workers.slice(0, count).map(async (worker) => {
        const answer = once(worker, 'message');
        worker.postMessage({ job, threads: count } satisfies JobMessage);
        const [repeats] = (await answer) as [Repeat[]];
        return repeats;
      });
      return bestRate(await Promise.all(answers));
    },
    close,
  };
}

/** A repeat is over when its slowest member is. */
export function bestRate(members: readonly (readonly Repeat[])[]): number {
  const rates = members[0].map((_, i) => {
    const amount = members.reduce((sum, repeats) => sum + repeats[i].amount, 0);
    return amount / Math.max(...members.map((repeats) => repeats[i].ms));
  });
  return Math.max(...rates);
}
