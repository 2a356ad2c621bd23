// Names of the control words that coordinator and workers share, and the barrier, counters and series of steps made of them.
// One Int32Array over a SharedArrayBuffer; no result depends on how long anything takes.

export enum Word {
  /** Workers that have arrived at the present barrier. */
  Arrived,
  /** Counts finished barriers: who waits, waits for it to change. */
  Generation,
  /** Not 0: a worker failed, the others leave their barriers. */
  Aborted,
  /** The next micro-batch that nobody has taken, */
  NextTask,
  /** share of the parameters to sum the gradients of, */
  NextReduction,
  /** and to change. */
  NextUpdate,
  /** Steps of the present series that workers may begin, times two; plus one when no more will come. */
  Published,
  /** The last step in which a worker has begun to change weights and moments, counted from 1 in the series. */
  UpdateBegun,
  /** Steps that all workers have done. */
  Finished,
  /** From here on two words a worker: what it does (an index of ACTIVITIES), and how often it began something. */
  FirstWorker,
}

const COUNTERS = [Word.NextTask, Word.NextReduction, Word.NextUpdate] as const;
export type Counter = (typeof COUNTERS)[number];

const WORDS_PER_WORKER = 2;

export const ACTIVITIES = ['idle', 'forward', 'backward', 'reduce', 'update', 'wait', 'evaluate'] as const;
export type Activity = (typeof ACTIVITIES)[number];

/** A peer failed; the cause is in that peer's own error. */
export class AbortedError extends Error {
  static readonly TEXT = 'another worker failed';

  constructor() {
    super(AbortedError.TEXT);
  }
}

/** About 20 us: most peers arrive within it. Longer, and a worker would burn the core that the late one needs. */
const SPINS = 2000;
/** A waiting worker looks at the abort word this often even if nobody wakes it. */
const SLICE_MS = 50;

export function createControl(maxWorkers: number): SharedArrayBuffer {
  return new SharedArrayBuffer((Word.FirstWorker + WORDS_PER_WORKER * maxWorkers) * Int32Array.BYTES_PER_ELEMENT);
}

export class Control {
  private readonly words: Int32Array;

  /** `spins`: how often a barrier looks before it sleeps. */
  constructor(
    buffer: SharedArrayBuffer,
    private readonly spins = SPINS,
  ) {
    this.words = new Int32Array(buffer);
  }

  /** Coordinator only, while no worker runs. */
  reset(): void {
    Atomics.store(this.words, Word.Arrived, 0);
    Atomics.store(this.words, Word.Aborted, 0);
    Atomics.store(this.words, Word.Published, 0);
    Atomics.store(this.words, Word.UpdateBegun, 0);
    Atomics.store(this.words, Word.Finished, 0);
    this.resetCounters();
  }

  protected resetCounters(): void {
    for (const counter of COUNTERS) Atomics.store(this.words, counter, 0);
  }

  /** Coordinator only, before a pool starts: the workers of the one before are gone, whatever they did last. */
  forgetActivities(): void {
    this.words.fill(0, Word.FirstWorker);
  }

  /** Hands out 0, 1, 2, ... of that counter, each once, to whoever asks first. */
  take(counter: Counter): number {
    return Atomics.add(this.words, counter, 1);
  }

  setActivity(rank: number, activity: Activity): void {
    Atomics.store(this.words, Word.FirstWorker + WORDS_PER_WORKER * rank, ACTIVITIES.indexOf(activity));
    this.beat(rank);
  }

  /** A sign of life; the coordinator's watchdog takes a worker without one for hung. */
  beat(rank: number): void {
    Atomics.add(this.words, Word.FirstWorker + WORDS_PER_WORKER * rank + 1, 1);
  }

  /** How often this worker has given a sign of life; wraps round. */
  beats(rank: number): number {
    return Atomics.load(this.words, Word.FirstWorker + WORDS_PER_WORKER * rank + 1);
  }

  activity(rank: number): Activity {
    return ACTIVITIES[Atomics.load(this.words, Word.FirstWorker + WORDS_PER_WORKER * rank)];
  }

  activities(workers: number): Activity[] {
    return Array.from({ length: workers }, (_, rank) => this.activity(rank));
  }

  /** Coordinator only: one more step of the series lies ready. */
  publish(): void {
    Atomics.add(this.words, Word.Published, 2);
    Atomics.notify(this.words, Word.Published);
  }

  /** Coordinator only: what is published is all. */
  endSeries(): void {
    Atomics.add(this.words, Word.Published, 1);
    Atomics.notify(this.words, Word.Published);
  }

  /** To be called by a worker that has done so many steps of the series: whether there is another one, once that is known. */
  awaitStep(rank: number, done: number): boolean {
    const nothingNew = done << 1; // Shifts wrap round as the word does.
    for (let looks = 0; ; looks++) {
      const published = Atomics.load(this.words, Word.Published);
      if (published === (nothingNew | 1)) return false;
      if (published !== nothingNew) return true;
      if (looks < this.spins) continue;
      if (Atomics.load(this.words, Word.Aborted) !== 0) throw new AbortedError();
      this.beat(rank); // Who waits for the coordinator isn't hung.
      Atomics.wait(this.words, Word.Published, published, SLICE_MS);
    }
  }

  /**
   * To be called by a worker before it changes the first weight or moment of that step (from 0). If once all workers have ended
   * the step after the last finished one isn't named here, none was touched in it: it can be done again. Stored after it, a
   * dying worker could hide a change.
   */
  beginUpdate(step: number): void {
    Atomics.store(this.words, Word.UpdateBegun, step + 1);
  }

  /** Final only when no worker runs any more. */
  hasUpdateBegun(): boolean {
    return Atomics.load(this.words, Word.UpdateBegun) === ((this.finished() + 1) | 0);
  }

  /** The barrier behind the gradients of a step. */
  finishGradients(workers: number): void {
    this.barrier(workers, () => this.wakeCoordinator());
  }

  /**
   * The barrier at the end of a step: what every worker wrote is there for the coordinator too. If the next step lies ready, the
   * coordinator is woken behind its gradients: the worker that loses its core to it then has shares that others can take.
   */
  finishStep(workers: number): void {
    this.barrier(workers, () => {
      this.resetCounters(); // Nobody takes anything: all are here.
      Atomics.add(this.words, Word.Finished, 1);
      if (!this.isNextPublished()) this.wakeCoordinator();
    });
  }

  /** Whether more steps lie ready than are finished. Both counts wrap round, that of published ones a bit earlier. */
  private isNextPublished(): boolean {
    return Atomics.load(this.words, Word.Published) >> 1 !== (this.finished() << 1) >> 1;
  }

  private wakeCoordinator(): void {
    Atomics.notify(this.words, Word.Finished);
  }

  /** Steps of the series that all workers have done; wraps round. */
  finished(): number {
    return Atomics.load(this.words, Word.Finished);
  }

  isFinished(steps: number): boolean {
    return ((this.finished() - steps) | 0) >= 0;
  }

  /** Coordinator only. True once so many steps are finished; false if the workers have been aborted before. */
  async untilFinished(steps: number): Promise<boolean> {
    for (;;) {
      const finished = this.finished();
      if (this.isFinished(steps)) return true;
      if (Atomics.load(this.words, Word.Aborted) !== 0) return false;
      const wait = Atomics.waitAsync(this.words, Word.Finished, finished);
      if (wait.async) await wait.value;
    }
  }

  /** Makes every worker that waits, or comes to a barrier, throw AbortedError. */
  abort(): void {
    Atomics.store(this.words, Word.Aborted, 1);
    // Wakes those asleep; whoever falls asleep just now looks again after one slice.
    for (const word of [Word.Generation, Word.Published, Word.Finished]) Atomics.notify(this.words, word);
  }

  /**
   * Returns when all `workers` have called it; the writes that each made before are then visible to all.
   * The last to arrive resets the count before it moves the generation on: in the other order a fast worker could reach
   * the next barrier and be counted into this one. Before that it does `action`, while all others wait.
   */
  barrier(workers: number, action?: () => void): void {
    const generation = Atomics.load(this.words, Word.Generation);
    if (Atomics.add(this.words, Word.Arrived, 1) + 1 === workers) {
      action?.();
      Atomics.store(this.words, Word.Arrived, 0);
      Atomics.add(this.words, Word.Generation, 1);
      Atomics.notify(this.words, Word.Generation);
      return;
    }
    for (let i = 0; i < this.spins; i++) {
      if (Atomics.load(this.words, Word.Generation) !== generation) return;
    }
    while (Atomics.load(this.words, Word.Generation) === generation) {
      if (Atomics.load(this.words, Word.Aborted) !== 0) throw new AbortedError();
      // The last to arrive wakes us; a value that has changed already returns at once.
      Atomics.wait(this.words, Word.Generation, generation, SLICE_MS);
    }
  }
}
