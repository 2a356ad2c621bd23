// The pool of training threads. The only place that knows Piscina.

import { Piscina } from 'piscina';
import { WorkerError } from '../errors.js';
import type { Control } from './control.js';
import type { WorkerReport, WorkerSetup, WorkerTask } from './tasks.js';

const ENTRY = new URL('../../workers/train.js', import.meta.url).href;

type Unranked<T> = T extends unknown ? Omit<T, 'rank' | 'ranks'> : never;
/** A task as the coordinator gives it: every worker gets it with its own rank. */
export type TeamTask = Unranked<WorkerTask>;

export interface WorkerPool {
  readonly workers: number;
  /**
   * Runs the task on all workers at the same time, reports in order of rank. When one fails, its peers are freed and the
   * call rejects with a WorkerError that names rank and cause.
   */
  runAll(task: TeamTask): Promise<WorkerReport[]>;
  close(): Promise<void>;
}

export function createPool(workers: number, setup: WorkerSetup, control: Control): WorkerPool {
  const piscina = new Piscina({
    filename: ENTRY,
    minThreads: workers,
    maxThreads: workers,
    // Threads are never taken away: a step needs all of them at once, since they meet at barriers.
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 1,
    recordTiming: false,
    atomics: 'sync',
    workerData: setup,
  });
  return {
    workers,
    async runAll(task) {
      control.reset();
      const runs = Array.from({ length: workers }, (_, rank) =>
        piscina.run({ ...task, rank, ranks: workers }).catch((error: unknown) => {
          control.abort();
          throw new RankError(rank, error);
        }),
      );
      const results = await Promise.allSettled(runs);
      const failures = results.filter((r) => r.status === 'rejected').map((r) => r.reason as RankError);
      if (failures.length > 0) throw describeFailure(task, failures);
      return results.map((r) => (r as PromiseFulfilledResult<WorkerReport>).value);
    },
    close: () => piscina.destroy(),
  };
}

class RankError extends Error {
  constructor(
    readonly rank: number,
    override readonly cause: unknown,
  ) {
    super(cause instanceof Error ? cause.message : String(cause));
  }
}

/** The first failure that isn't merely the echo of another worker's. */
function describeFailure(task: TeamTask, failures: RankError[]): WorkerError {
  const own = failures.find((f) => f.message !== 'another worker failed') ?? failures[0];
  const where = task.kind === 'step' ? `in step ${task.step}` : `in task ${task.kind}`;
  return new WorkerError(`worker ${own.rank} failed ${where}: ${own.message}`, { cause: own.cause });
}
