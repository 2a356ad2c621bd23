// Carries a run over the failure of its workers: new threads, and the task again. The repetition gives the same bits, since a
// step depends on the weights before it, the batch and the seed alone.
//
// The rule: if no worker had begun to change weights in what failed, that is simply done again. If one had, the weights
// may be half changed, and copying 40 MB before every step would cost more than it saves: then weights and moments go back to
// the copy that the last checkpoint was made from, and the steps since then are computed again, silently.

import { WorkerError } from '../errors.js';
import type { Coordinator } from '../parallel/coordinator.js';
import { WorkerFailure } from '../parallel/pool.js';

export interface RecoveryOptions {
  readonly coordinator: Pick<Coordinator, 'replaceWorkers' | 'refresh' | 'workers'>;
  /** Puts weights and moments back; returns the step they belong to. */
  readonly restore: () => number;
  /** Computes these steps again, the first and the last one included. */
  readonly replay: (first: number, last: number) => Promise<void>;
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

  /** Runs a task of the coordinator; `finished`: the step whose weights it starts from. Throws WorkerError when it gives up. */
  async attempt<T>(finished: number, task: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        await this.restoreIfDue(finished);
        const result = await task();
        this.replacements = 0;
        return result;
      } catch (error) {
        await this.replaceWorkers(error);
      }
    }
  }

  /**
   * The same for a task with several results; after a failure it is begun anew, and has to go on behind those it has had.
   * `finished`: the step whose weights it would start from now.
   */
  async *attemptEach<T>(finished: () => number, task: () => AsyncIterable<T> | Iterable<T>): AsyncGenerator<T, void> {
    for (;;) {
      try {
        await this.restoreIfDue(finished());
        for await (const result of task()) {
          this.replacements = 0;
          yield result;
        }
        return;
      } catch (error) {
        await this.replaceWorkers(error);
      }
    }
  }

  /** Throws what is no failure of a worker, and WorkerError when it gives up. */
  private async replaceWorkers(error: unknown): Promise<void> {
    if (!(error instanceof WorkerFailure)) throw error;
    this.isRestoreDue ||= error.hasUpdateBegun;
    if (error.isThreadAlive || this.replacements >= REPLACEMENT_LIMIT) throw giveUp(error);
    this.replacements++;
    const { coordinator, warn } = this.options;
    const remedy = this.isRestoreDue ? 'computed again since the last copy of the weights' : 'done again';
    warn(`${error.message}. Its threads were replaced; what it was at is ${remedy}.`);
    await coordinator.replaceWorkers();
  }

  /** From the last copy to the end of step `finished`. A failure in here leaves the restore due. */
  private async restoreIfDue(finished: number): Promise<void> {
    if (!this.isRestoreDue) return;
    const { coordinator, restore, replay } = this.options;
    const from = restore();
    await coordinator.refresh();
    if (from < finished) await replay(from + 1, finished);
    this.isRestoreDue = false;
  }
}

function giveUp(failure: WorkerFailure): WorkerError {
  const why = failure.isThreadAlive
    ? 'The thread is in native code that does not return and cannot be ended, so the run stops.'
    : `Its threads were replaced ${REPLACEMENT_LIMIT} times in a row without success, so the run stops.`;
  return new WorkerError(`${failure.message}.\n  ${why}`, { cause: failure });
}
