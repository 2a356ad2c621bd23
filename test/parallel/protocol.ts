// The workers' real code, with parts that record what they touch in the place of engine and optimizer, and a coordinator that
// keeps the queue of steps as the real one does, for the model checker.

import assert from 'node:assert/strict';
import { NORM_BLOCK } from '../../src/optim/reduce.js';
import type { Arena } from '../../src/parallel/arena.js';
import { AbortedError, Control, type Counter, createControl, Word } from '../../src/parallel/control.js';
import { QUEUE_LENGTH } from '../../src/parallel/queue.js';
import type { StepsTask } from '../../src/parallel/tasks.js';
import { createTaskRunner, type WorkerState } from '../../src/parallel/worker.js';
import { at, type Explored, explore, type Snapshot, touch } from '../helpers/interleavings.js';

export type Trouble =
  | 'none'
  /** A worker throws in any of its calculations. */
  | 'throws'
  /** A worker's thread is gone, at any moment; the coordinator makes the others leave. */
  | 'dies'
  /** The coordinator makes all leave at any moment, as its watchdog does. */
  | 'aborted';

export interface Scenario {
  readonly workers: number;
  readonly microBatches: number;
  /** In the series; absent: 1. */
  readonly steps?: number;
  /** It publishes steps and awaits results. Absent: all lie ready from the start, which leaves fewer orders to look at. */
  readonly coordinator?: boolean;
  readonly trouble: Trouble;
  /** The engine steps and packs the weights in one pass, or the optimizer steps them first. Absent: in one pass. */
  readonly isFused?: boolean;
  /** How often a barrier looks before it sleeps. */
  readonly spins?: number;
  readonly timeouts?: number;
  readonly memory?: readonly number[];
  /** Another control, broken on purpose. */
  readonly createControl?: (buffer: SharedArrayBuffer, spins: number) => Control;
}

const WORDS = Word.FirstWorker;

/** A series of training steps in every order. Throws ProtocolError. */
export function exploreSteps(scenario: Scenario): Explored {
  const { workers, steps = 1, trouble, coordinator, spins = 0, timeouts = 0 } = scenario;
  const create = scenario.createControl ?? ((buffer, count) => new Control(buffer, count));
  const control = create(createControl(workers), spins);
  const ranks = Array.from({ length: workers }, (_, rank) => rank);
  const threads = ranks.map((rank) => workerOf(control, rank, scenario));
  const memory = [...(scenario.memory ?? new Array<number>(WORDS).fill(0))];
  if (coordinator) threads.push(coordinatorOf(control, scenario));
  else memory[Word.Published] = 2 * steps + 1;
  // The coordinator, when it hears of a death or its watchdog has had enough.
  if (trouble === 'dies' || trouble === 'aborted') threads.push(() => control.abort());
  return explore({
    threads,
    words: WORDS,
    counted: [...expectedWrites(scenario).keys()],
    memory,
    // What a worker says it does is read by the watchdog alone; and nobody sleeps where all lies ready and no one awaits results.
    isIgnored: (word, kind) =>
      word >= Word.FirstWorker || (!coordinator && kind === 'notify' && word !== Word.Generation),
    mortal: trouble === 'dies' ? 0 : undefined,
    mourner: trouble === 'dies' ? workers : undefined,
    fallible: trouble === 'throws' ? 0 : undefined,
    timeouts,
    // Only who leaves because of an abort may rely on waking by itself.
    mayOversleep: (memory) => memory[Word.Aborted] !== 0,
    check: (state) => checkUpdate(state, scenario),
    checkEnd: (state) => checkEnd(state, scenario),
  });
}

/** Steps with trouble, then from each end they can have the next ones without; returns how many beginnings that were. */
export function exploreTasks(scenario: Scenario): number {
  const beginnings = new Map(
    exploreSteps(scenario).ends.map((memory) => {
      const words = new SharedArrayBuffer(4 * (WORDS + 2 * scenario.workers));
      new Int32Array(words).set(memory);
      new Control(words).reset();
      const begun = [...new Int32Array(words, 0, WORDS)];
      return [begun.join(), begun];
    }),
  );
  for (const memory of beginnings.values()) exploreSteps({ ...scenario, trouble: 'none', memory });
  return beginnings.size;
}

/** That a change of weights is never hidden: each step writes every weight once. */
function checkUpdate({ memory, writes }: Snapshot, { steps = 1 }: Scenario): void {
  const changes = Math.max(0, ...[...writes].flatMap(([name, count]) => (name.startsWith('weights') ? [count] : [])));
  // Behind the last step there is none to be done again; what is written too often comes out at the end.
  if (changes <= memory[Word.Finished] || memory[Word.Finished] >= steps) return;
  assert.equal(memory[Word.UpdateBegun], memory[Word.Finished] + 1, 'weights are being changed, and no word says so');
}

function checkEnd({ memory, threads, writes }: Snapshot, scenario: Scenario): void {
  const { workers, steps = 1, trouble } = scenario;
  const team = threads.slice(0, workers);
  for (const [rank, { end, error }] of team.entries()) {
    assert.notEqual(end, null, `worker ${rank} has not ended`);
    const isOwn = trouble === 'throws' && rank === 0;
    if (end === 'threw' && !isOwn) assert.ok(error instanceof AbortedError, `worker ${rank}: ${error}`);
  }
  if (trouble !== 'none') return;
  for (const { end } of threads) assert.equal(end, 'returned');
  assert.equal(memory[Word.Arrived], 0, 'the next barrier does not start from 0');
  assert.equal(memory[Word.Aborted], 0);
  assert.equal(memory[Word.Finished], steps, 'not every step was finished once');
  for (const counter of [Word.NextTask, Word.NextReduction, Word.NextUpdate])
    assert.equal(memory[counter], 0, 'the next step does not start from 0');
  for (const [name, count] of expectedWrites(scenario))
    assert.equal(writes.get(name) ?? 0, count, `${name}: not each of its steps wrote it once`);
}

/** How often the series writes what each step writes exactly once, whoever does it. */
function expectedWrites({ workers, microBatches, steps = 1 }: Scenario): Map<string, number> {
  const counts = new Map<string, number>();
  const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
  for (let n = 0; n < steps; n++) {
    for (let k = 0; k < microBatches; k++) count(`losses ${placeOf(n)} ${k}`);
    for (let rank = 0; rank < workers; rank++) count(`report ${placeOf(n)} ${rank}`);
    for (let share = 0; share < sharesOf(workers); share++)
      for (const name of ['squares', 'weights', 'moments']) count(`${name} ${share}`);
  }
  return counts;
}

const placeOf = (n: number) => n % QUEUE_LENGTH;

function workerOf(control: Control, rank: number, { workers, microBatches, isFused = true }: Scenario): () => void {
  const task: StepsTask = {
    kind: 'steps',
    rank,
    ranks: workers,
    first: 1,
    dropout: 0,
    seed: 0,
    gradClip: 1,
    adamw: { beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0 },
  };
  return () => {
    createTaskRunner(recordingState(control, workers, microBatches, isFused))(task);
  };
}

/** What Coordinator.steps does, but that it sleeps where that one awaits. */
function coordinatorOf(control: Control, { workers, microBatches, steps = 1 }: Scenario): () => void {
  const words = (control as unknown as { words: Int32Array }).words;
  let published = 0;
  const publishNext = () => {
    if (published === steps) return control.endSeries();
    touch([], [`board ${placeOf(published++)}`]);
    control.publish();
  };
  const hasFinished = (n: number) => {
    for (;;) {
      const finished = control.finished();
      if (finished > n) return true;
      if (Atomics.load(words, Word.Aborted) !== 0) return false;
      Atomics.wait(words, Word.Finished, finished);
    }
  };
  return () => {
    published = 0;
    publishNext();
    for (let n = 0; n < steps; n++) {
      publishNext();
      at(`awaits the end of step ${n}`);
      if (!hasFinished(n)) return;
      const results = Array.from({ length: microBatches }, (_, k) => `losses ${placeOf(n)} ${k}`);
      touch([...results, ...Array.from({ length: workers }, (_, rank) => `report ${placeOf(n)} ${rank}`)], []);
    }
  };
}

const SHARES_PER_WORKER = 2;
const sharesOf = (workers: number) => SHARES_PER_WORKER * workers;

/** Shares and micro-batches as names: `grads 1 of 0` is share 0 of the gradient in slot 1. */
function recordingState(control: Control, workers: number, microBatches: number, isFused: boolean): WorkerState {
  const shards = Array.from({ length: sharesOf(workers) }, (_, i) => i);
  const slots = Array.from({ length: microBatches }, (_, i) => i);
  const all = (name: string) => shards.map((shard) => `${name} ${shard}`);
  const gradOf = (slot: number) => shards.map((shard) => `grads ${slot} of ${shard}`);
  let barriers = 0;
  const arena = {
    weights: { length: shards.length * NORM_BLOCK },
    slotStride: 1,
    grads: { subarray: (begin: number) => ({ slot: begin }) },
    squares: {
      *[Symbol.iterator]() {
        touch(all('squares'), []);
        yield 1;
      },
    },
  } as unknown as Arena;
  const { barrier, take } = control;
  const ownControl = Object.assign(Object.create(control), {
    // Behind a barrier a worker keeps nothing but its place in the program; behind a finished task likewise.
    barrier(count: number, action?: () => void) {
      barrier.call(ownControl, count, action);
      at(`behind barrier ${++barriers}`);
    },
    take(counter: Counter) {
      at(`takes of ${Word[counter]} behind barrier ${barriers}`);
      return take.call(ownControl, counter);
    },
  }) as Control;
  return {
    arena,
    control: ownControl,
    engine: {
      forward: () => {
        touch(all('packed'), []);
        return 1;
      },
      backward: (slot: unknown) => touch([], gradOf((slot as { slot: number }).slot)),
      refresh: (rank: number) => touch(all('weights'), [`packed ${rank}`]),
      // Its shares are not those of the reduction.
      ...(isFused && {
        update: (rank: number) => touch(gradOf(0), [`weights ${rank}`, `moments ${rank}`, `packed ${rank}`]),
      }),
    },
    optimizer: {
      reduce: (_grads: unknown, count: number, _stride: number, begin: number) => {
        const shard = begin / NORM_BLOCK;
        const own = slots.slice(0, count).map((slot) => `grads ${slot} of ${shard}`);
        touch(own, [own[0], `squares ${shard}`]);
      },
      adamw: (_w: unknown, _g: unknown, _m: unknown, _v: unknown, begin: number) => {
        const shard = begin / NORM_BLOCK;
        touch([`grads 0 of ${shard}`], [`weights ${shard}`, `moments ${shard}`]);
      },
    },
    pack: () => ({ tokens: { length: 1 } }),
    train: { corpus: null, queue: { at: (n: number) => recordingStep(placeOf(n), microBatches) } },
    evaluation: null,
    adamw: new Float32Array(10),
    sharesPerWorker: SHARES_PER_WORKER,
  } as unknown as WorkerState;
}

function recordingStep(place: number, microBatches: number) {
  const losses = {
    set: (_: object, k: string | symbol) => {
      touch([], [`losses ${place} ${String(k)}`]);
      return true;
    },
  };
  return {
    board: {
      read() {
        touch([`board ${place}`], []);
        return { microBatches };
      },
    },
    losses: new Proxy({}, losses),
    readHead: () => ({ lr: 0.1, scoredTokens: 1, paired: false }),
    writeReport: (rank: number) => touch([], [`report ${place} ${rank}`]),
  };
}
