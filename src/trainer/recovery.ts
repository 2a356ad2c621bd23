// Carries a run over the failure of its workers: new threads, and the task again. The repetition gives the same bits, since a
// step depends on the weights before it, the batch and the seed alone.
//
// The rule: if no worker of the failed task had begun to change weights, the task is simply done again. If one had, the weights
// may be half changed, and copying 40 MB before every step would cost more than it saves: then weights and moments go back to
// the copy that the last checkpoint was made from, and the steps since then are computed again, silently.

import { WorkerError } from '../errors.js';
import type { Coordinator, StepResult } from '../parallel/coordinator.js';
import { WorkerFailure } from '../parallel/pool.js';

export interface RecoveryOptions {
  readonly coordinator: Pick<Coordinator, 'replaceWorkers' | 'refresh' | 'workers'>;
  /** Puts weights and moments back; returns the step they belong to. */
  readonly restore: () => number;
  readonly computeStep: (step: number) => Promise<StepResult>;
  readonly warn: (message: string) => void;
}

/** So many replacements without a finished task in between, then the run ends. */
const REPLACEMENT_LIMIT = 3;

export class Recovery {
  private replacements = 0;
  private isRestoreDue = false;

  constructor(private readonly options: RecoveryOptions) {}

  /** False: weights and moments belong to no step. */
  get areWeightsWhole(): boolean {
    return !this.isRestoreDue;
  }

  /** Runs a task of the coordinator; `finished` is the step whose weights it starts from. Throws WorkerError when it gives up. */
  async attempt<T>(finished: number, task: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        if (this.isRestoreDue) await this.replay(finished);
        const result = await task();
        this.replacements = 0;
        return result;
      } catch (error) {
        if (!(error instanceof WorkerFailure)) throw error;
        this.isRestoreDue ||= error.hasUpdateBegun;
        if (error.isThreadAlive || this.replacements >= REPLACEMENT_LIMIT) throw giveUp(error);
        this.replacements++;
        const { coordinator, warn } = this.options;
        const remedy = this.isRestoreDue ? 'computed again since the last copy of the weights' : 'done again';
        warn(`${error.message}. Its threads were replaced; what it was at is ${remedy}.`);
        await coordinator.replaceWorkers();
      }
    }
  }

  /** From the last copy to the end of step `finished`. A failure in here leaves the restore due. */
  private async replay(finished: number): Promise<void> {
    const { coordinator, restore, computeStep } = this.options;
    const from = restore();
    await coordinator.refresh();
    for (let step = from + 1; step <= finished; step++) await computeStep(step);
    this.isRestoreDue = false;
  }
}

function giveUp(failure: WorkerFailure): WorkerError {
  const why = failure.isThreadAlive
    ? 'The thread is in native code that does not return and cannot be ended, so the run stops.'
    : `Its threads were replaced ${REPLACEMENT_LIMIT} times in a row without success, so the run stops.`;
  return new WorkerError(`${failure.message}.\n  ${why}`, { cause: failure });
}
