// What it means that a run says nothing: it is paused or busy, or it is gone.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isLocked } from '../../checkpoint/run-lock.js';
import { formatDuration } from '../../ui/format.js';

/** After so long, and so many steps' time, without a word one looks now and then whether the run still is there. */
const SILENT_MS = 5_000;
const SILENT_STEPS = 20;
const LOOK_MS = 2_000;
/** So long may a run that is there be busy; and one that isn't is over, though it may also go on where we can't see it. */
const LONG_MS = 60_000;

export interface Finding {
  readonly isGone: boolean;
  /** Not to be waited for any longer. */
  readonly isOver: boolean;
  readonly text: string;
}

export class Silence {
  private wasGone: boolean | null = null;
  private nextLookAt = 0;

  constructor(private readonly folder: string) {}

  /** To be called when the run has said something. */
  end(): void {
    this.wasGone = null;
  }

  /** What can be said of it after `idleMs` without a word, a step taking `stepMs`; null for nothing, or nothing yet. */
  async look(idleMs: number, stepMs: number): Promise<Finding | null> {
    if (idleMs <= Math.max(SILENT_MS, SILENT_STEPS * stepMs) || performance.now() < this.nextLookAt) return null;
    this.nextLookAt = performance.now() + LOOK_MS;
    const isGone = !(await isLocked(this.folder).catch(() => false));
    // Twice in a row: its last words may come between the caller's reading and our looking.
    const isSure = isGone === this.wasGone && (isGone || idleMs > LONG_MS);
    this.wasGone = isGone;
    if (!isSure) return null;
    return { isGone, isOver: isGone && idleMs > LONG_MS, text: isGone ? this.goneText() : busyText(idleMs) };
  }

  private goneText(): string {
    const advice = existsSync(join(this.folder, 'last')) ? '; train --resume continues it' : '';
    return `the run was killed, or goes on on another machine${advice}`;
  }
}

function busyText(idleMs: number): string {
  return `nothing was written for ${formatDuration(idleMs)}: the run is paused, or busy`;
}
