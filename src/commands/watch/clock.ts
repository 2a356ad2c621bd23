// The time of a run that is watched: while its past is told, as much as that took; then it goes on with the clock on the wall.

import type { TrainEvent } from '../../trainer/events.js';

export class RunClock {
  private at = 0;
  /** When the present began, or null while the past is told, and once the run has ended. */
  private liveSince: number | null = null;

  constructor(private readonly wall: () => number = () => performance.now()) {}

  /** Milliseconds; doesn't go back. */
  now(): number {
    return this.liveSince === null ? this.at : this.at + this.wall() - this.liveSince;
  }

  /** Before an event of the past is told: as late as it happened, by the time that training took. */
  tell(event: TrainEvent): void {
    this.stop();
    if (event.type === 'step') this.at += event.stepMs;
    if (event.type === 'evaluation') this.at += event.evalMs;
  }

  goLive(): void {
    this.liveSince ??= this.wall();
  }

  stop(): void {
    this.at = this.now();
    this.liveSince = null;
  }
}
