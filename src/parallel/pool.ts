// The pool of training threads. The only place that knows Piscina.

import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { AbortedError, type Control } from './control.js';
import type { WorkerSetup, WorkerTask } from './tasks.js';
import { watchWorkers } from './watchdog.js';

const ENTRY = new URL('../../workers/train.js', import.meta.url).href;
/** JavaScript heap of a worker: many times what it needs, and little enough that a leak kills the worker, not the machine. */
const MAX_HEAP_MB = 512;
/** Of it for young objects. A step makes few of them; with V8's own limit they fill dozens of MB before it looks. */
const YOUNG_HEAP_MB = 4;
/** JavaScript ends within milliseconds; a native call must return first. */
const TERMINATION_MS = 5000;

type Unranked<T> = T extends unknown ? Omit<T, 'rank' | 'ranks'> : never;
/** A task as the coordinator gives it: every worker gets it with its own rank. */
export type TeamTask = Unranked<WorkerTask>;

/** What went wrong in a task. By then all threads of the pool have ended, or `isThreadAlive`. */
export class WorkerFailure extends Error {
  constructor(
    readonly rank: number,
    readonly isStall: boolean,
    /** Weights and moments may be half changed. */
    readonly hasUpdateBegun: boolean,
    /** A thread can't be stopped, since it is in native code that doesn't return; the shared memory isn't ours alone. */
    readonly isThreadAlive: boolean,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface WorkerPool {
  readonly workers: number;
  /**
   * Runs the task on all workers at the same time, until all have done it. When one throws, dies, or shows no sign of life
   * for `patienceMs`, all are ended and the call rejects with a WorkerFailure; the pool is of no more use.
   */
  runAll(task: TeamTask, patienceMs: number): Promise<void>;
  close(): Promise<void>;
}

export interface PoolOptions {
  readonly workers: number;
  readonly setup: WorkerSetup;
  readonly control: Control;
  /** URL of the threads' entry point; absent: the real one. */
  readonly entry?: string;
}

export function createPool({ workers, setup, control, entry = ENTRY }: PoolOptions): WorkerPool {
  control.forgetActivities();
  const piscina = new Piscina({
    filename: entry,
    minThreads: workers,
    maxThreads: workers,
    // Threads are never taken away: a step needs all of them at once, since they meet at barriers.
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 1,
    recordTiming: false,
    atomics: 'sync',
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB, maxYoungGenerationSizeMb: YOUNG_HEAP_MB },
    workerData: setup,
  });
  // A thread that fails outside a task: its next task fails too, and that is where it is dealt with.
  piscina.on('error', () => {});
  const threads = [...piscina.threads];
  const loading = watchLoading(piscina);
  let ending: Promise<boolean> | null = null;
  // Once: a second destroy() would return at once and have the threads that are just ending replaced by new ones.
  const close = () => {
    ending ??= loading.settled().then(() => endThreads(piscina, threads));
    return ending;
  };
  return {
    workers,
    close: async () => {
      await close();
    },
    async runAll(task, patienceMs) {
      control.reset();
      const failures: RankError[] = [];
      const pending = new Set(Array.from({ length: workers }, (_, rank) => rank));
      const endWatch = watchWorkers({ signs: control, pending, patienceMs }, ({ rank, activity, stalledMs }) => {
        const seconds = Math.round(stalledMs / 1000);
        failures.push(new RankError(rank, new Error(`no sign of life for ${seconds} s (${activity})`), true));
        control.abort();
        void close();
      });
      const runs = Array.from(pending, (rank) =>
        piscina
          .run({ ...task, rank, ranks: workers })
          .catch((error: unknown) => {
            control.abort();
            failures.push(new RankError(rank, error, false));
          })
          .finally(() => pending.delete(rank)),
      );
      await Promise.all(runs);
      endWatch();
      if (failures.length === 0) return;
      const isThreadAlive = !(await close());
      throw describeFailure(task, failures, control, isThreadAlive);
    },
  };
}

/**
 * Knows which threads still load their modules. One that is ended while Node links them takes the process with it: Node 20 aborts
 * with "v8::Module::IsGraphAsync must be used on an instantiated module".
 */
function watchLoading(piscina: Piscina): { settled(): Promise<unknown> } {
  const loading = new Map<Worker, Promise<unknown>>();
  const watch = () => {
    for (const thread of piscina.threads) {
      if (loading.has(thread)) continue;
      // A thread's first message says that it is ready. Piscina replaces one that has ended by itself.
      const events = ['message', 'error', 'exit'].map((event) => new Promise((resolve) => thread.once(event, resolve)));
      loading.set(thread, Promise.race(events));
      thread.once('exit', () => setImmediate(watch));
    }
  };
  watch();
  return {
    settled() {
      watch();
      const timeout = new AbortController();
      const longest = delay(TERMINATION_MS, null, { signal: timeout.signal }).catch(() => null);
      return Promise.race([Promise.all(loading.values()), longest]).finally(() => timeout.abort());
    },
  };
}

/** Whether all threads have ended. */
async function endThreads(piscina: Piscina, threads: readonly Worker[]): Promise<boolean> {
  const running = [...new Set([...threads, ...piscina.threads])].filter(({ threadId }) => threadId !== -1);
  const exits = running.map((thread) => new Promise((resolve) => thread.once('exit', resolve)));
  const ended = Promise.all([piscina.destroy(), ...exits]).then(() => true);
  const timeout = new AbortController();
  const hasEnded = await Promise.race([
    ended,
    delay(TERMINATION_MS, false, { signal: timeout.signal }).catch(() => false),
  ]);
  timeout.abort();
  if (!hasEnded) dieOnExit(running);
  return hasEnded;
}

/** The end of a process waits for its threads, for ever if one never returns: the last thing it does is to kill itself. */
function dieOnExit(threads: readonly Worker[]): void {
  for (const thread of threads) thread.unref();
  process.once('exit', () => process.kill(process.pid, 'SIGKILL'));
}

class RankError extends Error {
  constructor(
    readonly rank: number,
    override readonly cause: unknown,
    readonly isStall: boolean,
  ) {
    super(cause instanceof Error ? cause.message : String(cause));
  }

  /** Merely the echo of another worker's failure. The class doesn't survive the way between threads, the text does. */
  get isEcho(): boolean {
    return this.message === AbortedError.TEXT;
  }
}

/** The first failure in time that isn't an echo. */
function describeFailure(
  task: TeamTask,
  failures: readonly RankError[],
  control: Control,
  isThreadAlive: boolean,
): WorkerFailure {
  const own = failures.find((failure) => !failure.isEcho) ?? failures[0];
  const where = task.kind === 'steps' ? `in step ${task.first + control.finished()}` : `in task ${task.kind}`;
  const message = `worker ${own.rank} failed ${where}: ${own.message}`;
  const hasUpdateBegun = control.hasUpdateBegun();
  return new WorkerFailure(own.rank, own.isStall, hasUpdateBegun, isThreadAlive, message, { cause: own.cause });
}
