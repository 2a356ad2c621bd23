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
  /** Repeat r goes over part r % parts of the memory: long done with when its turn comes again, and short enough to be undisturbed. */
  | { readonly kind: 'read' | 'triad'; readonly parts: number; readonly repeats: number };

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
  for (const array of thirds) sliceOf(array, rank, ranks).fill(1);

  const work = (job: Job, threads: number): ((repeat: number) => number) => {
    if (job.kind === 'peak') return () => addon.measurePeak(isa, job.precision === 'bf16', job.count) ?? 0;
    const part = (array: Float32Array, repeat: number) => sliceOf(array, repeat % job.parts, job.parts);
    if (job.kind === 'read') {
      const share = sliceOf(all, rank, threads);
      return (repeat) => {
        const x = part(share, repeat);
        addon.measureRead(isa, x);
        return x.byteLength;
      };
    }
    const shares = thirds.map((array) => sliceOf(array, rank, threads));
    return (repeat) => {
      const [out, x, y] = shares.map((share) => part(share, repeat));
      addon.measureTriad(isa, out, x, y, 0.5);
      return 3 * out.byteLength;
    };
  };

  return ({ job, threads }) => {
    const once = work(job, threads);
    return Array.from({ length: job.repeats }, (_, repeat) => {
      // All begin together; the last one to arrive wakes the others.
      control.barrier(threads);
      const started = performance.now();
      const amount = once(repeat);
      return { amount, ms: performance.now() - started };
    });
  };
}

/** Part `index` of `count` equal ones. */
function sliceOf(array: Float32Array, index: number, count: number): Float32Array {
  return array.subarray(Math.floor((array.length * index) / count), Math.floor((array.length * (index + 1)) / count));
}
