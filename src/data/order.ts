// The order in which samples are seen: a permutation for each epoch that depends on seed and epoch alone, so that the place in
// the data follows from the step number and a resumed run continues exactly.

import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { createRandom } from '../random.js';

export interface DataOrder {
  /** Sample indices of step `step` (from 1): batchSize of them; a batch may reach over the border of two epochs. */
  batch(step: number): Int32Array;
  /** Epoch (from 1) in which the last sample of step `step` lies. */
  epoch(step: number): number;
}

export interface DataOrderOptions {
  readonly samples: number;
  readonly batchSize: number;
  readonly seed: number;
  /** False: every epoch runs through the file in its own order. */
  readonly shuffle: boolean;
}

export function createDataOrder(options: DataOrderOptions): DataOrder {
  const { samples, batchSize } = options;
  let known = { epoch: 0, order: permutation(options, 0) };
  const at = (position: number): number => {
    const epoch = Math.floor(position / samples);
    if (epoch !== known.epoch) known = { epoch, order: permutation(options, epoch) };
    return known.order[position % samples];
  };
  return {
    batch: (step) => Int32Array.from({ length: batchSize }, (_, i) => at((step - 1) * batchSize + i)),
    epoch: (step) => Math.floor((step * batchSize - 1) / samples) + 1,
  };
}

/** How often a batch may hold the same sample: it may begin at the end of an epoch, and reach over several small ones. */
export function mostCopies({ samples, batchSize }: Pick<DataOrderOptions, 'samples' | 'batchSize'>): number {
  return Math.min(batchSize, Math.ceil((batchSize - 1) / samples) + 1);
}

/** Fisher & Yates 1938, as Durstenfeld 1964. */
function permutation({ samples, seed, shuffle }: DataOrderOptions, epoch: number): Int32Array {
  const order = Int32Array.from({ length: samples }, (_, i) => i);
  if (!shuffle) return order;
  const random = createRandom((seed ^ Math.imul(epoch + 1, 0x9e3779b1)) | 0);
  for (let i = samples - 1; i > 0; i--) {
    const j = uniformInt(random, 0, i);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
