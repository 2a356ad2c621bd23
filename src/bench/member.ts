// One thread of a team that measures what all cores do at the same time. The threads' entry point in workers/ only calls this.

import { loadAddon } from '../addon/addon.js';
import { Control } from '../parallel/control.js';
import type { Precision } from './report.js';

export interface MemberSetup {
  readonly rank: number;
  readonly ranks: number;
  readonly isa: string;
  readonly control: SharedArrayBuffer;
  /** What `read` reads; `triad` takes it as three arrays. */
  readonly memory: SharedArrayBuffer;
}

export type Job =
  /** `count` rounds of multiply-adds. */
  | { readonly kind: 'peak'; readonly precision: Precision; readonly count: number; readonly repeats: number }
  | { readonly kind: 'read' | 'triad'; readonly repeats: number };

export interface JobMessage {
  readonly job: Job;
  /** Members that take part: ranks 0 to threads - 1, each with its share of the memory. */
  readonly threads: number;
}

/** One repeat: FLOPs done or bytes moved by this member. */
export interface Repeat {
  readonly amount: number;
  readonly ms: number;
}

/** Returns the function that runs a job. Writes this member's share of the memory, which places it near the core that uses it. */
export function createMember(setup: MemberSetup): (message: JobMessage) => Repeat[] {
  const addon = loadAddon();
  if (addon === null) throw new Error('the native addon is gone');
  const { rank, ranks, isa } = setup;
  const control = new Control(setup.control);
  const all = new Float32Array(setup.memory);
  const third = Math.floor(all.length / 3);
  const thirds = [0, 1, 2].map((i) => all.subarray(i * third, (i + 1) * third));
  const shareOf = (array: Float32Array, threads: number) =>
    array.subarray(Math.floor((array.length * rank) / threads), Math.floor((array.length * (rank + 1)) / threads));
  for (const array of thirds) shareOf(array, ranks).fill(1);

  const work = (job: Job, threads: number): (() => number) => {
    if (job.kind === 'peak') return () => addon.measurePeak(isa, job.precision === 'bf16', job.count) ?? 0;
    if (job.kind === 'read') {
      const x = shareOf(all, threads);
      return () => {
        addon.measureRead(isa, x);
        return x.byteLength;
      };
    }
    const [out, x, y] = thirds.map((array) => shareOf(array, threads));
    return () => {
      addon.measureTriad(isa, out, x, y, 0.5);
      return 3 * out.byteLength;
    };
  };

  return ({ job, threads }) => {
    const once = work(job, threads);
    return Array.from({ length: job.repeats }, () => {
      // All begin together; the last one to arrive wakes the others.
      control.barrier(threads);
      const started = performance.now();
      const amount = once();
      return { amount, ms: performance.now() - started };
    });
  };
}
