// The memory that coordinator and workers share: made once by the coordinator, attached by each worker from its description.

import type { Addon } from '../addon/addon.js';

/** f32 arrays of the arena, each on its own 64-byte boundary. */
export interface ArenaSizes {
  /** Flat parameters: weights, m, v and every gradient slot are this long. */
  readonly flatLength: number;
  /** Gradient slots: micro-batches of a step. */
  readonly slots: number;
  /** Packed copies of the weights; 0 for an engine without. */
  readonly packedLength: number;
  /** Blocks of the gradient norm. */
  readonly normBlocks: number;
  /** Losses: one a chunk of the evaluation. */
  readonly losses: number;
}

/** Can be posted to a worker. */
export interface ArenaDescription extends ArenaSizes {
  readonly buffer: SharedArrayBuffer;
  readonly base: number;
}

export interface Arena {
  readonly description: ArenaDescription;
  readonly weights: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
  /** (slots * slotStride): gradient k starts at k * slotStride. */
  readonly grads: Float32Array;
  readonly slotStride: number;
  readonly packed: Float32Array;
  readonly squares: Float64Array;
  readonly losses: Float64Array;
}

const ALIGNMENT = 64;
const PIECE = 2 ** 30;

/**
 * Allocates zeroed memory, in huge pages where the system has them. Without an addon the start is where the buffer starts, which
 * is all that JavaScript engines need.
 */
export function createArena(sizes: ArenaSizes, addon: Addon | null): Arena {
  const buffer = new SharedArrayBuffer(layout(sizes).bytes + ALIGNMENT);
  // A typed array of bytes may be shorter than a buffer can be: 4 GiB in Node 20.
  for (let at = 0; addon !== null && at < buffer.byteLength; at += PIECE) {
    addon.preferHugePages(new Uint8Array(buffer, at, Math.min(PIECE, buffer.byteLength - at)));
  }
  const base = addon === null ? 0 : addon.alignmentGap(new Uint8Array(buffer, 0, ALIGNMENT));
  return attachArena({ ...sizes, buffer, base });
}

export function attachArena(description: ArenaDescription): Arena {
  const { buffer, base, flatLength, slots, packedLength, normBlocks, losses } = description;
  const at = layout(description);
  const slotStride = roundUp(flatLength, ALIGNMENT / 4);
  const floats = (offset: number, length: number) => new Float32Array(buffer, base + offset, length);
  return {
    description,
    weights: floats(at.weights, flatLength),
    m: floats(at.m, flatLength),
    v: floats(at.v, flatLength),
    grads: floats(at.grads, slots * slotStride),
    slotStride,
    packed: floats(at.packed, packedLength),
    squares: new Float64Array(buffer, base + at.squares, normBlocks),
    losses: new Float64Array(buffer, base + at.losses, losses),
  };
}

/** Byte offsets from the base, each a multiple of ALIGNMENT. */
function layout({ flatLength, slots, packedLength, normBlocks, losses }: ArenaSizes) {
  const flatBytes = roundUp(flatLength * 4, ALIGNMENT);
  const m = flatBytes;
  const v = m + flatBytes;
  const grads = v + flatBytes;
  const packed = grads + slots * flatBytes;
  const squares = packed + roundUp(packedLength * 4, ALIGNMENT);
  const lossesAt = squares + roundUp(normBlocks * 8, ALIGNMENT);
  return { weights: 0, m, v, grads, packed, squares, losses: lossesAt, bytes: lossesAt + losses * 8 };
}

function roundUp(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}
