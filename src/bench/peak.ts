// The most multiply-adds that one core can do: rounds of them in registers alone, of which the fastest counts, since whatever
// disturbs a round makes it slower.

import { type Addon, loadAddon } from '../addon/addon.js';
import { chooseIsa } from '../engine/isa.js';
import type { Precision } from './report.js';

export interface PeakRun {
  readonly isa: string;
  readonly precision: Precision;
  readonly rounds: number;
  /** How long one round takes about. */
  readonly roundMs: number;
}

/** GFLOPS of this thread's core, a multiply-add counted as two; null where there are no such instructions. */
export function measureCorePeak(addon: Addon, { isa, precision, rounds, roundMs }: PeakRun): number | null {
  const count = roundsThatTake(addon, isa, precision, roundMs);
  if (count === null) return null;
  let best = 0;
  for (let i = 0; i < rounds; i++) {
    const started = performance.now();
    const flops = addon.measurePeak(isa, precision === 'bf16', count) ?? 0;
    best = Math.max(best, flops / (performance.now() - started) / 1e6);
  }
  return best;
}

const FIRST_TRY = 4096;
const MOST_ROUNDS = 2 ** 30;

/** How many rounds of the kernel take so long; null where it isn't there. */
export function roundsThatTake(addon: Addon, isa: string, precision: Precision, roundMs: number): number | null {
  for (let count = FIRST_TRY; ; count *= 2) {
    const started = performance.now();
    if (addon.measurePeak(isa, precision === 'bf16', count) === null) return null;
    const ms = performance.now() - started;
    if (ms >= roundMs / 2 || count >= MOST_ROUNDS) return Math.max(1, Math.round((count * roundMs) / ms));
  }
}

/** Some 25 ms in all: few enough to go unnoticed at the start of a training, and enough to find a round nobody disturbed. */
const AT_START = { rounds: 12, roundMs: 1.5 };

/** A peak measured within moments, of the instruction set in use; null without the addon, or without such instructions. */
export function glanceAtPeak(precision: Precision): number | null {
  const addon = loadAddon();
  if (addon === null) return null;
  return measureCorePeak(addon, { isa: chooseIsa(addon), precision, ...AT_START });
}
