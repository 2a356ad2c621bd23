// What a worker does: attaches the shared memory once, then runs tasks. The threads' entry point in workers/ only calls this.

import { attachCorpus, type CorpusViews } from '../data/corpus.js';
import type { TrainingEngine } from '../engine/engine.js';
import { createTrainingEngine } from '../engine/select.js';
import { createParameterTable } from '../model/parameters.js';
import { ADAMW_STEP_LENGTH, adamwStep } from '../optim/adamw.js';
import { createOptimizerKernels, type OptimizerKernels } from '../optim/kernels.js';
import { clipFactor, gradientNorm, NORM_BLOCK } from '../optim/reduce.js';
import { type Arena, attachArena } from './arena.js';
import { attachBoard, type Board } from './board.js';
import { Control, type Counter, Word } from './control.js';
import { createPacker } from './pack.js';
import type { EvaluateTask, RefreshTask, StepTask, WorkerReport, WorkerSetup, WorkerTask } from './tasks.js';

interface Source {
  readonly corpus: CorpusViews;
  readonly board: Board;
}

/** What a worker keeps between tasks. The check of the protocol puts recording parts in the place of real ones. */
export interface WorkerState {
  readonly arena: Arena;
  readonly control: Control;
  readonly engine: TrainingEngine;
  readonly optimizer: OptimizerKernels;
  readonly pack: ReturnType<typeof createPacker>;
  readonly train: Source;
  readonly evaluation: Source;
  readonly adamw: Float32Array;
  /** Of reduction and update. */
  readonly sharesPerWorker: number;
}

/** A share takes 0.1 or 0.2 ms: a worker that shares its core with another program holds the others up for no longer. */
const SHARES_PER_WORKER = 8;

/** Milliseconds by phase, added up during one task. */
interface Clock {
  forwardMs: number;
  backwardMs: number;
  reduceMs: number;
  updateMs: number;
  waitMs: number;
  microBatches: number;
  tokens: number;
}

/** Returns the function that the pool calls with each task. */
export async function createWorker(setup: WorkerSetup): Promise<(task: WorkerTask) => WorkerReport> {
  const { shape, selection, capacity } = setup;
  const arena = attachArena(setup.arena);
  const table = createParameterTable(shape);
  const state: WorkerState = {
    arena,
    control: new Control(setup.control),
    engine: await createTrainingEngine(
      selection,
      { shape, table, weights: arena.weights, packed: arena.packed },
      capacity,
    ),
    optimizer: createOptimizerKernels(),
    pack: createPacker(capacity),
    train: { corpus: attachCorpus(setup.train.corpus), board: attachBoard(setup.train.board) },
    evaluation: { corpus: attachCorpus(setup.evaluation.corpus), board: attachBoard(setup.evaluation.board) },
    adamw: new Float32Array(ADAMW_STEP_LENGTH),
    sharesPerWorker: SHARES_PER_WORKER,
  };
  return createTaskRunner(state);
}

export function createTaskRunner(state: WorkerState): (task: WorkerTask) => WorkerReport {
  return (task) => {
    const clock: Clock = {
      forwardMs: 0,
      backwardMs: 0,
      reduceMs: 0,
      updateMs: 0,
      waitMs: 0,
      microBatches: 0,
      tokens: 0,
    };
    try {
      const gradNorm = run(state, task, clock);
      return { rank: task.rank, ...clock, gradNorm };
    } catch (error) {
      // Peers must not wait for this worker at the next barrier.
      state.control.abort();
      throw error;
    } finally {
      state.control.setActivity(task.rank, 'idle');
    }
  };
}

function run(state: WorkerState, task: WorkerTask, clock: Clock): number {
  switch (task.kind) {
    case 'step':
      return step(state, task, clock);
    case 'evaluate':
      return evaluate(state, task, clock);
    case 'refresh':
      return refresh(state, task);
  }
}

/** One training step. Returns the gradient norm; if it isn't finite, weights and moments stay as they were. */
function step(state: WorkerState, task: StepTask, clock: Clock): number {
  const { arena, control, engine, optimizer } = state;
  const { rank, ranks } = task;
  const slots = computeGradients(state, task, clock);
  wait(state, task, clock);

  // Sum the gradients over the micro-batches.
  let started = performance.now();
  control.setActivity(rank, 'reduce');
  forShares(state, Word.NextReduction, ranks, (share, shares) => {
    const { begin, end } = shard(arena.weights.length, share, shares);
    optimizer.reduce(arena.grads, slots.count, slots.stride, begin, end, arena.squares);
  });
  clock.reduceMs += performance.now() - started;
  wait(state, task, clock);

  // Every worker adds up the same partial sums in the same order, so all agree on the norm to the bit.
  started = performance.now();
  control.setActivity(rank, 'update');
  const gradNorm = gradientNorm(arena.squares);
  if (!Number.isFinite(gradNorm)) return gradNorm;
  control.beginUpdate();
  control.setActivity(rank, 'update');
  adamwStep(task.adamw, task.step, clipFactor(gradNorm, task.gradClip), state.adamw);
  forShares(state, Word.NextUpdate, ranks, (share, shares) => {
    if (engine.update) {
      engine.update(share, shares, arena.grads, arena.m, arena.v, state.adamw);
      return;
    }
    const { begin, end } = shard(arena.weights.length, share, shares);
    optimizer.adamw(arena.weights, arena.grads, arena.m, arena.v, begin, end, state.adamw);
  });
  clock.updateMs += performance.now() - started;
  if (engine.update) return gradNorm;
  wait(state, task, clock);

  started = performance.now();
  control.setActivity(rank, 'update');
  engine.refresh(rank, ranks);
  clock.updateMs += performance.now() - started;
  return gradNorm;
}

/**
 * Takes micro-batches, or pairs of them, until none is left. The gradient of number k goes to slot k, whoever computes it;
 * that of a pair is the sum that the reduction begins with, and goes to the slot of its first one. Returns the slots in use.
 */
function computeGradients(state: WorkerState, task: StepTask, clock: Clock): { count: number; stride: number } {
  const { arena, control, engine, train } = state;
  const plan = train.board.read();
  const dropout = { rate: task.dropout, seed: task.seed, step: task.step };
  const atOnce = task.paired ? 2 : 1;
  const next = () => control.take(Word.NextTask) * atOnce;
  for (let k = next(); k < plan.microBatches; k = next()) {
    const started = performance.now();
    const count = Math.min(atOnce, plan.microBatches - k);
    control.setActivity(task.rank, 'forward');
    const batch = state.pack(train.corpus, plan, k, count, 1 / task.scoredTokens);
    if (count === 2) {
      if (!engine.pairs) throw new Error('this engine takes no pairs of micro-batches');
      engine.pairs.forward(batch, plan.starts[k + 1] - plan.starts[k], dropout, arena.losses.subarray(k, k + 2));
    } else {
      arena.losses[k] = engine.forward(batch, dropout);
    }
    const middle = performance.now();
    control.setActivity(task.rank, 'backward');
    engine.backward(arena.grads.subarray(k * arena.slotStride, k * arena.slotStride + arena.weights.length));
    clock.forwardMs += middle - started;
    clock.backwardMs += performance.now() - middle;
    clock.microBatches += count;
    clock.tokens += batch.tokens.length;
  }
  return { count: Math.ceil(plan.microBatches / atOnce), stride: atOnce * arena.slotStride };
}

function evaluate(state: WorkerState, task: EvaluateTask, clock: Clock): number {
  const { arena, control, engine, evaluation } = state;
  const plan = evaluation.board.read();
  const started = performance.now();
  control.setActivity(task.rank, 'evaluate');
  const next = () => control.take(Word.NextTask);
  for (let k = next(); k < plan.microBatches; k = next()) {
    control.beat(task.rank);
    const batch = state.pack(evaluation.corpus, plan, k, 1, 1);
    arena.losses[k] = engine.loss(batch);
    clock.tokens += batch.tokens.length;
  }
  clock.forwardMs += performance.now() - started;
  return 0;
}

function refresh(state: WorkerState, task: RefreshTask): number {
  state.engine.refresh(task.rank, task.ranks);
  return 0;
}

function wait(state: WorkerState, task: StepTask, clock: Clock): void {
  const started = performance.now();
  state.control.setActivity(task.rank, 'wait');
  state.control.barrier(task.ranks);
  clock.waitMs += performance.now() - started;
}

/** Takes shares of the parameters until none is left. The numbers are the same whoever takes which. */
function forShares(
  { control, sharesPerWorker }: WorkerState,
  counter: Counter,
  ranks: number,
  work: (share: number, shares: number) => void,
): void {
  const shares = ranks === 1 ? 1 : sharesPerWorker * ranks;
  for (let share = control.take(counter); share < shares; share = control.take(counter)) work(share, shares);
}

/** A share of the parameters: whole blocks of the gradient norm. */
function shard(length: number, share: number, shares: number): { begin: number; end: number } {
  const blocks = Math.ceil(length / NORM_BLOCK);
  const block = (s: number) => Math.floor((blocks * s) / shares);
  return { begin: block(share) * NORM_BLOCK, end: Math.min(length, block(share + 1) * NORM_BLOCK) };
}
