// Reduce and AdamW as the trainer calls them: in C where the addon is there, else in JavaScript. Both give the same bits.

import { type Addon, loadAddon } from '../addon/addon.js';
import { type AdamWStep, adamw } from './adamw.js';
import { NORM_BLOCK, reduceGradients } from './reduce.js';

export interface OptimizerKernels {
  reduce: typeof reduceGradients;
  adamw: typeof adamw;
}

export function createOptimizerKernels(addon: Addon | null = loadAddon()): OptimizerKernels {
  if (!addon) return { reduce: reduceGradients, adamw };
  return {
    reduce: (grads, slots, stride, begin, end, squares) =>
      addon.reduce(grads, slots, stride, begin, end, NORM_BLOCK, squares),
    adamw: (weights, grads, m, v, begin, end, step: AdamWStep) => addon.adamw(weights, grads, m, v, begin, end, step),
  };
}
