// A plan in shared memory: the coordinator writes it before the workers may look at it, and they only read it.

import type { PackPlan } from './pack.js';
import type { StepPlan } from './plan.js';

export interface BoardSize {
  readonly microBatches: number;
  readonly samples: number;
}

export interface BoardDescription extends BoardSize {
  readonly buffer: SharedArrayBuffer;
}

export interface Board {
  readonly description: BoardDescription;
  write(plan: StepPlan): void;
  /** The plan as last written; views, valid until the next write. */
  read(): PackPlan & { readonly microBatches: number };
}

export function createBoard(size: BoardSize): Board {
  const ints = 1 + (size.microBatches + 1) + 3 * size.samples;
  return attachBoard({ ...size, buffer: new SharedArrayBuffer(ints * Int32Array.BYTES_PER_ELEMENT) });
}

export function attachBoard(description: BoardDescription): Board {
  const { buffer, microBatches, samples } = description;
  const ints = new Int32Array(buffer);
  const startsAt = 1;
  const samplesAt = startsAt + microBatches + 1;
  const keysAt = samplesAt + samples;
  const copiesAt = keysAt + samples;
  return {
    description,
    write(plan) {
      ints[0] = plan.starts.length - 1;
      ints.set(plan.starts, startsAt);
      ints.set(plan.samples, samplesAt);
      ints.set(plan.keys, keysAt);
      ints.set(plan.copies, copiesAt);
    },
    read: () => ({
      microBatches: ints[0],
      starts: ints.subarray(startsAt, startsAt + ints[0] + 1),
      samples: ints.subarray(samplesAt, keysAt),
      keys: ints.subarray(keysAt, copiesAt),
      copies: ints.subarray(copiesAt, copiesAt + samples),
    }),
  };
}
