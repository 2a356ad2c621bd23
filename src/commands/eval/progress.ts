// One line at the bottom of a terminal that says how far a long evaluation is. Nothing where nobody would see it.

import type { OutputStream } from '../infer/print.js';

export interface ProgressLine {
  show(done: number, total: number): void;
  /** Takes the line away. */
  clear(): void;
}

/** Oftener can't be read. */
const INTERVAL_MS = 100;
const CLEAR_LINE = '\r\u001b[K';

/** `label` says of what. */
export function createProgressLine(stderr: OutputStream, label: string): ProgressLine {
  let shownAt = Number.NEGATIVE_INFINITY;
  let isShown = false;
  return {
    show(done, total) {
      const now = performance.now();
      if (!stderr.isTTY || now - shownAt < INTERVAL_MS) return;
      shownAt = now;
      isShown = true;
      stderr.write(`${CLEAR_LINE}${label} ${done}/${total}`);
    },
    clear() {
      if (isShown) stderr.write(CLEAR_LINE);
      isShown = false;
    },
  };
}
