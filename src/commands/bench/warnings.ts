// What makes the figures of a benchmark worth less, in sentences. Pure.

import type { Cores } from '../../machine/cores.js';

/** Processors' worth of other programs' work that hardly shows in the figures. */
const OTHERS_ALLOWED = 0.15;

export interface Circumstances {
  readonly othersBusy: number | null;
  readonly threads: number;
  readonly cores: Pick<Cores, 'usablePhysical' | 'usableLogical'>;
}

export function warningsOf({ othersBusy, threads, cores }: Circumstances): string[] {
  const warnings: string[] = [];
  // What others do on cores that nothing is measured on does little harm.
  const free = Math.max(0, cores.usableLogical - threads);
  if (othersBusy !== null && othersBusy > free + OTHERS_ALLOWED) {
    warnings.push(
      `Other programs kept ${othersBusy.toFixed(1)} processors busy meanwhile, so the figures are lower than what this ` +
        'machine can do. Close them and measure again.',
    );
  }
  if (threads > cores.usablePhysical) {
    warnings.push(
      `${threads} threads share ${cores.usablePhysical} physical cores: together they can't do ${threads} times what one does.`,
    );
  }
  return warnings;
}
