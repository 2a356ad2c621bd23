// Dropout masks of the tfjs engine. Same meaning as in the native engine, other numbers: JavaScript has no fast 64-bit integers.

import type { DropoutKey, PackedBatch } from './engine.js';
import type { DropoutMask } from './tfjs-tensors.js';

const GOLDEN = 0x9e3779b9;

/**
 * Whether a channel falls depends on (seed, step, sample, position, site, channel) alone: the same numbers fall whoever
 * computes the row and however the batch is split. The returned array (C) is overwritten by the next call.
 */
export function createDropoutMask(
  C: number,
  { seqStarts, sampleKeys, tokens }: Pick<PackedBatch, 'seqStarts' | 'sampleKeys' | 'tokens'>,
  { rate, seed, step }: DropoutKey,
): DropoutMask {
  if (rate === 0) return null;
  const run = mix(mix(seed) ^ step);
  const rowKeys = new Int32Array(tokens.length);
  sampleKeys.forEach((sample, s) => {
    for (let row = seqStarts[s]; row < seqStarts[s + 1]; row++) {
      rowKeys[row] = mix(mix(run ^ sample) ^ (row - seqStarts[s]));
    }
  });
  const factors = new Float32Array(C);
  const kept = 1 / (1 - rate);
  const threshold = rate * 2 ** 32;
  return (site, row) => {
    const key = mix(rowKeys[row] ^ site);
    for (let c = 0; c < C; c++) factors[c] = mix(key + Math.imul(c, GOLDEN)) >>> 0 < threshold ? 0 : kept;
    return factors;
  };
}

/** 32 well mixed bits: the finaliser of MurmurHash3 by Appleby, started off 0, which it would keep. */
function mix(bits: number): number {
  let z = (bits + GOLDEN) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return z ^ (z >>> 16);
}
