// Whether workers take micro-batches two at a time. A pair's gradient is written to memory once instead of twice and its
// weights are read once: several percent of a step. The numbers are the same to the bit, so how it is decided is free.

import type { StepPlan } from './plan.js';
import type { WorkerReport } from './tasks.js';

/** A worker that computes so many times as long as another holds it up: another program is on its core. */
const UNEVEN = 1.3;
/** One slow step may be chance. */
const UNEVEN_STEPS = 3;
/** Then workers take single micro-batches, whoever is free the next one, for so many steps. */
const SINGLE_STEPS = 100;

export class Pairing {
  private uneven = 0;
  private single = 0;

  /** `pairRows`: tokens that the engine allows in each micro-batch of a pair; 0 where it takes none. */
  constructor(private readonly pairRows: number) {}

  decide(plan: StepPlan, workers: number): boolean {
    // Every worker gets the same number of pairs, or somebody would wait longer than one by one.
    const microBatches = plan.starts.length - 1;
    if (plan.longestMicroBatch > this.pairRows || microBatches % (2 * workers) !== 0) return false;
    if (this.single > 0) {
      this.single--;
      return false;
    }
    return true;
  }

  /** To be told how each paired step went. */
  learn(reports: readonly WorkerReport[]): void {
    const times = reports.map((report) => report.forwardMs + report.backwardMs);
    this.uneven = Math.max(...times) > UNEVEN * Math.min(...times) ? this.uneven + 1 : 0;
    if (this.uneven < UNEVEN_STEPS) return;
    this.uneven = 0;
    this.single = SINGLE_STEPS;
  }
}
