// What one may ask of a run from outside: flags that the loop reads at each step.

import type { Activity } from '../parallel/control.js';
import type { TrainControl } from './events.js';

export class RunControl implements TrainControl {
  stopRequested = false;
  saveRequested = false;
  evaluateRequested = false;
  workersRequested: number | null = null;
  isPaused = false;
  /** Set by the run while it has workers. */
  activities: () => readonly Activity[] = () => [];
  private wake: (() => void) | null = null;

  get isAnythingAsked(): boolean {
    const { stopRequested, isPaused, saveRequested, evaluateRequested, workersRequested } = this;
    return stopRequested || isPaused || saveRequested || evaluateRequested || workersRequested !== null;
  }

  stop(): void {
    this.stopRequested = true;
    this.resume();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.wakeUp();
  }

  saveNow(): void {
    this.saveRequested = true;
    this.wakeUp();
  }

  evaluateNow(): void {
    this.evaluateRequested = true;
    this.wakeUp();
  }

  setWorkers(n: number): void {
    this.workersRequested = n;
    this.wakeUp();
  }

  liveWorkers(): readonly Activity[] {
    return this.activities();
  }

  /** Returns when the run isn't paused any more, or something was asked for meanwhile. */
  async untilAsked(): Promise<void> {
    if (!this.isPaused || this.saveRequested || this.evaluateRequested || this.workersRequested !== null) return;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
    });
  }

  /** True once after each request. */
  take(request: 'saveRequested' | 'evaluateRequested'): boolean {
    const asked = this[request];
    this[request] = false;
    return asked;
  }

  takeWorkers(): number | null {
    const asked = this.workersRequested;
    this.workersRequested = null;
    return asked;
  }

  wakeUp(): void {
    this.wake?.();
    this.wake = null;
  }
}
