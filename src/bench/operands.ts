// Operands of one kernel in native memory, filled with numbers, and the kernel run on them. The kernels and the order of their
// operands are those of native/kernels/measure.h.

import { requireAddon } from '../engine/native.js';
import { alignedFloats } from '../engine/native-inference.js';

export const KERNELS = [
  'linear',
  'linearBack',
  'linearGrads',
  'linearBf16',
  'linearBackBf16',
  'linearGradsBf16',
  'attention',
  'attentionBack',
  'norm',
  'normBack',
] as const;
export type Kernel = (typeof KERNELS)[number];

/** Floats behind each row, as training has them: PAD of native/kernels/activations.c. */
export const ROW_PADDING = 16;

const SIZES = 4;

export interface Operands {
  /** Operand i of measure.h, up to the next one. */
  operand(i: number): Float32Array;
  /** Runs a kernel `times` over on them; `pack`: products pack their right operand each time. */
  run(kernel: Kernel, times: number, pack: boolean): void;
}

/** For kernels that share their operands: `kernel` is any of them. Sizes that it doesn't have may be left out. */
export function createOperands(isa: string, kernel: Kernel, sizes: readonly number[]): Operands {
  const addon = requireAddon();
  const numbers = Int32Array.from({ length: SIZES }, (_, i) => sizes[i] ?? 1);
  const layout = addon.measureLayout(KERNELS.indexOf(kernel), numbers);
  const arena = alignedFloats(layout[layout.length - 1]);
  // Neither zeros nor denormals, small enough that sums of many stay harmless.
  for (let i = 0; i < arena.length; i++) arena[i] = ((i * 37) % 101) / 101 - 0.495;
  return {
    operand: (i) => arena.subarray(layout[i], layout[i + 1]),
    run: (k, times, pack) => addon.measureRun(isa, KERNELS.indexOf(k), numbers, pack, times, arena),
  };
}
