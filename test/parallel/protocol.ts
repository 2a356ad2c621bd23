// The workers' real code, with parts that record what they touch in the place of engine and optimizer, for the model checker.

import assert from 'node:assert/strict';
import { NORM_BLOCK } from '../../src/optim/reduce.js';
import type { Arena } from '../../src/parallel/arena.js';
import { AbortedError, Control, type Counter, createControl, Word } from '../../src/parallel/control.js';
import type { StepTask } from '../../src/parallel/tasks.js';
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

/** One training step in every order. Throws ProtocolError. */
export function exploreStep(scenario: Scenario): Explored {
  const { workers, trouble, spins = 0, timeouts = 0 } = scenario;
  const create = scenario.createControl ?? ((buffer, count) => new Control(buffer, count));
  const control = create(createControl(workers), spins);
  const ranks = Array.from({ length: workers }, (_, rank) => rank);
  const threads = ranks.map((rank) => stepOf(control, rank, scenario));
  const hasCoordinator = trouble === 'dies' || trouble === 'aborted';
  if (hasCoordinator) threads.push(() => control.abort());
  return explore({
    threads,
    words: WORDS,
    counted: writtenOnce(workers, scenario.microBatches),
    memory: scenario.memory,
    // What a worker says it does is read by the watchdog alone.
    isIgnored: (word) => word >= Word.FirstWorker,
    mortal: trouble === 'dies' ? 0 : undefined,
    mourner: trouble === 'dies' ? workers : undefined,
    fallible: trouble === 'throws' ? 0 : undefined,
    timeouts,
    // Only who leaves because of an abort may rely on waking by itself.
    mayOversleep: (memory) => memory[Word.Aborted] !== 0,
    check: checkUpdate,
    checkEnd: (state) => checkEnd(state, scenario),
  });
}

/** A step with trouble, then from each end it can have the next one without; returns how many beginnings that were. */
export function exploreTasks(scenario: Scenario): number {
  const beginnings = new Map(
    exploreStep(scenario).ends.map((memory) => {
      const words = new SharedArrayBuffer(4 * (WORDS + 2 * scenario.workers));
      new Int32Array(words).set(memory);
      new Control(words).reset();
      const begun = [...new Int32Array(words, 0, WORDS)];
      return [begun.join(), begun];
    }),
  );
  for (const memory of beginnings.values()) exploreStep({ ...scenario, trouble: 'none', memory });
  return beginnings.size;
}

/** That a change of weights is never hidden. */
function checkUpdate({ memory, writes }: Snapshot): void {
  const hasChanged = [...writes.keys()].some((name) => name.startsWith('weights'));
  if (hasChanged) assert.notEqual(memory[Word.UpdateBegun], 0, 'weights are being changed, and no word says so');
}

function checkEnd({ memory, threads, writes }: Snapshot, { workers, microBatches, trouble }: Scenario): void {
  const team = threads.slice(0, workers);
  for (const [rank, { end, error }] of team.entries()) {
    assert.notEqual(end, null, `worker ${rank} has not ended`);
    const isOwn = trouble === 'throws' && rank === 0;
    if (end === 'threw' && !isOwn) assert.ok(error instanceof AbortedError, `worker ${rank}: ${error}`);
  }
  if (trouble !== 'none') return;
  for (const { end } of team) assert.equal(end, 'returned');
  assert.equal(memory[Word.Arrived], 0, 'the next barrier does not start from 0');
  assert.equal(memory[Word.Aborted], 0);
  const handedOut = [memory[Word.NextTask], memory[Word.NextReduction], memory[Word.NextUpdate]];
  const expected = [microBatches, sharesOf(workers), sharesOf(workers)].map((count) => count + workers);
  assert.deepEqual(handedOut, expected, 'not every number was handed out once');
  for (const name of writtenOnce(workers, microBatches)) assert.equal(writes.get(name), 1, `${name} is written once`);
}

/** What each step writes exactly once, whoever does it. */
function writtenOnce(workers: number, microBatches: number): string[] {
  const shares = Array.from({ length: sharesOf(workers) }, (_, share) => share);
  const losses = Array.from({ length: microBatches }, (_, k) => `losses ${k}`);
  return [...losses, ...shares.flatMap((share) => [`squares ${share}`, `weights ${share}`, `moments ${share}`])];
}

function stepOf(control: Control, rank: number, scenario: Scenario): () => void {
  const { workers, microBatches, isFused = true } = scenario;
  const task: StepTask = {
    kind: 'step',
    rank,
    ranks: workers,
    step: 1,
    scoredTokens: 1,
    paired: false,
    dropout: 0,
    seed: 0,
    gradClip: 1,
    adamw: { lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0 },
  };
  return () => {
    createTaskRunner(recordingState(control, workers, microBatches, isFused))(task);
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
    losses: new Proxy(
      {},
      {
        set: (_, slot) => {
          touch([], [`losses ${String(slot)}`]);
          return true;
        },
      },
    ),
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
    barrier(count: number) {
      barrier.call(ownControl, count);
      at(`behind barrier ${++barriers}`);
    },
    take(counter: Counter) {
      at(`takes of ${Word[counter]}`);
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
    train: { corpus: null, board: { read: () => ({ microBatches }) } },
    evaluation: null,
    adamw: new Float32Array(10),
    sharesPerWorker: SHARES_PER_WORKER,
  } as unknown as WorkerState;
}
