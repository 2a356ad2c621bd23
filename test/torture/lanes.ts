// Work that is done as often as the machine has processors at once: processes that mostly wait for their own start.

import { availableParallelism } from 'node:os';

/** Calls `work` with 0 to count - 1. Rejects with the first error; what is under way then is not waited for. */
export async function inLanes(count: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(count, availableParallelism()) }, lane));
}
