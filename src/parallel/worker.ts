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
import { sharedNow } from './clock.js';
import { Control, type Counter, Word } from './control.js';
import { createPacker } from './pack.js';
import { attachQueue, type QueuedStep, type StepHead, type StepQueue } from './queue.js';
import type { EvaluateTask, RefreshTask, StepsTask, WorkerReport, WorkerSetup, WorkerTask } from './tasks.js';

/** What a worker keeps between tasks. The check of the protocol puts recording parts in the place of real ones. */
export interface WorkerState {
  readonly arena: Arena;
  readonly control: Control;
  readonly engine: TrainingEngine;
  readonly optimizer: OptimizerKernels;
  readonly pack: ReturnType<typeof createPacker>;
  readonly train: { readonly corpus: CorpusViews; readonly queue: StepQueue };
  readonly evaluation: { readonly corpus: CorpusViews; readonly board: Board };
  readonly adamw: Float32Array;
  /** Of reduction and update. */
  readonly sharesPerWorker: number;
}

/** A share takes 0.1 or 0.2 ms: a worker that shares its core with another program holds the others up for no longer. */
const SHARES_PER_WORKER = 8;

/** A report that grows during a step. */
type Clock = { -readonly [Field in keyof WorkerReport]: WorkerReport[Field] };

/** Returns the function that the pool calls with each task. */
export async function createWorker(setup: WorkerSetup): Promise<(task: WorkerTask) => void> {
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
    train: { corpus: attachCorpus(setup.train.corpus), queue: attachQueue(setup.train.queue) },
    evaluation: { corpus: attachCorpus(setup.evaluation.corpus), board: attachBoard(setup.evaluation.board) },
    adamw: new Float32Array(ADAMW_STEP_LENGTH),
    sharesPerWorker: SHARES_PER_WORKER,
  };
  return createTaskRunner(state);
}

export function createTaskRunner(state: WorkerState): (task: WorkerTask) => void {
  return (task) => {
    try {
      run(state, task);
    } catch (error) {
      // Peers must not wait for this worker at the next barrier.
      state.control.abort();
      throw error;
    } finally {
      state.control.setActivity(task.rank, 'idle');
    }
  };
}

function run(state: WorkerState, task: WorkerTask): void {
  switch (task.kind) {
    case 'steps':
      steps(state, task);
      break;
    case 'evaluate':
      evaluate(state, task);
      break;
    case 'refresh':
      refresh(state, task);
      break;
  }
}

/** Each step as it comes; what is waited at the end of one counts for the next. */
function steps(state: WorkerState, task: StepsTask): void {
  const { control, train } = state;
  const { rank, ranks } = task;
  let clock = startClock();
  for (let n = 0; control.awaitStep(rank, n); n++) {
    const queued = train.queue.at(n);
    clock.gradNorm = step(state, task, n, queued, clock);
    clock.endedMs = sharedNow();
    queued.writeReport(rank, clock);
    clock = startClock();
    wait(state, task, clock, () => control.finishStep(ranks));
    control.setActivity(rank, 'idle');
  }
}

function startClock(): Clock {
  return {
    forwardMs: 0,
    backwardMs: 0,
    reduceMs: 0,
    updateMs: 0,
    waitMs: 0,
    microBatches: 0,
    tokens: 0,
    gradNorm: 0,
    endedMs: 0,
  };
}

/** Number n of the series, from 0. Returns the gradient norm; if it isn't finite, weights and moments stay as they were. */
function step(state: WorkerState, task: StepsTask, n: number, queued: QueuedStep, clock: Clock): number {
  const { arena, control, engine, optimizer } = state;
  const { rank, ranks } = task;
  const number = task.first + n;
  const head = queued.readHead();
  const slots = computeGradients(state, task, number, queued, head, clock);
  wait(state, task, clock, () => control.finishGradients(ranks));

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
  control.beginUpdate(n);
  control.setActivity(rank, 'update');
  adamwStep({ ...task.adamw, lr: head.lr }, number, clipFactor(gradNorm, task.gradClip), state.adamw);
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
function computeGradients(
  state: WorkerState,
  { rank, dropout: rate, seed }: StepsTask,
  step: number,
  { board, losses }: QueuedStep,
  { paired, scoredTokens }: StepHead,
  clock: Clock,
): { count: number; stride: number } {
  const { arena, control, engine, train } = state;
  const plan = board.read();
  const dropout = { rate, seed, step };
  const atOnce = paired ? 2 : 1;
  const next = () => control.take(Word.NextTask) * atOnce;
  for (let k = next(); k < plan.microBatches; k = next()) {
    const started = performance.now();
    const count = Math.min(atOnce, plan.microBatches - k);
    control.setActivity(rank, 'forward');
    const batch = state.pack(train.corpus, plan, k, count, 1 / scoredTokens);
    if (count === 2) {
      if (!engine.pairs) throw new Error('this engine takes no pairs of micro-batches');
      engine.pairs.forward(batch, plan.starts[k + 1] - plan.starts[k], dropout, losses.subarray(k, k + 2));
    } else {
      losses[k] = engine.forward(batch, dropout);
    }
    const middle = performance.now();
    control.setActivity(rank, 'backward');
    engine.backward(arena.grads.subarray(k * arena.slotStride, k * arena.slotStride + arena.weights.length));
    clock.forwardMs += middle - started;
    clock.backwardMs += performance.now() - middle;
    clock.microBatches += count;
    clock.tokens += batch.tokens.length;
  }
  return { count: Math.ceil(plan.microBatches / atOnce), stride: atOnce * arena.slotStride };
}

function evaluate(state: WorkerState, task: EvaluateTask): void {
  const { arena, control, engine, evaluation } = state;
  const plan = evaluation.board.read();
  control.setActivity(task.rank, 'evaluate');
  const next = () => control.take(Word.NextTask);
  for (let k = next(); k < plan.microBatches; k = next()) {
    control.beat(task.rank);
    arena.losses[k] = engine.loss(state.pack(evaluation.corpus, plan, k, 1, 1));
  }
}

function refresh(state: WorkerState, task: RefreshTask): void {
  state.engine.refresh(task.rank, task.ranks);
}

function wait(
  { control }: WorkerState,
  { rank, ranks }: StepsTask,
  clock: Clock,
  barrier = () => control.barrier(ranks),
): void {
  const started = performance.now();
  control.setActivity(rank, 'wait');
  barrier();
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
