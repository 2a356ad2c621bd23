// The coordinator of data-parallel training: owns the shared memory and the pool, turns batches of samples into optimizer steps
// on all workers. Knows nothing of files, events or time tables.

import { loadAddon } from '../addon/addon.js';
import type { Corpus } from '../data/corpus.js';
import { PAIR_ROWS } from '../engine/engine.js';
import { type EngineSelection, packedFloats } from '../engine/select.js';
import type { ParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import { NORM_BLOCK } from '../optim/reduce.js';
import { type Arena, createArena } from './arena.js';
import { createBoard } from './board.js';
import { sharedNow } from './clock.js';
import { type Activity, Control, createControl } from './control.js';
import { batchCapacity, largerCapacity, pairCapacity, planCapacity } from './pack.js';
import { Pairing } from './pairing.js';
import { planEvaluation, planStep, type StepPlan, sampleFlops } from './plan.js';
import { createPool, type TeamTask, WorkerFailure, type WorkerPool } from './pool.js';
import { createQueue, type StepQueue } from './queue.js';
import type { StepsTask, WorkerReport, WorkerSetup } from './tasks.js';

export interface CoordinatorOptions {
  readonly selection: EngineSelection;
  readonly shape: ModelShape;
  readonly table: ParameterTable;
  readonly train: Corpus;
  readonly validation: Corpus;
  readonly batchSize: number;
  readonly microBatches: number;
  readonly mergeDuplicates: boolean;
  readonly workers: number;
  /** Tests put faulty workers in the place of the real ones, and wait less long for them. */
  readonly team?: { readonly entry?: string; readonly patienceMs?: number };
}

/** What all steps of a series have in common, and the number of the first one. */
export type SeriesSettings = Omit<StepsTask, 'kind' | 'rank' | 'ranks'>;

export interface StepInput {
  /** Samples of the training corpus. */
  readonly samples: ArrayLike<number>;
  readonly lr: number;
}

export interface StepResult {
  readonly plan: StepPlan;
  /** Mean cross-entropy over the scored tokens, in nats. */
  readonly loss: number;
  /** Before clipping. Not finite: weights and moments were left alone. */
  readonly gradNorm: number;
  /** In order of rank. */
  readonly reports: readonly WorkerReport[];
  /** Since the step before it ended, or the series began. */
  readonly ms: number;
}

interface EnqueuedStep {
  readonly plan: StepPlan;
  readonly paired: boolean;
}

/** More than any machine we know has cores; some words of shared memory each. */
export const MAX_WORKERS = 256;
/** An evaluation chunk: enough rows for full GEMM speed, few enough to share out evenly and to need no more scratch than a step. */
const EVALUATION_CHUNK_TOKENS = 256;
/** A worker without a sign of life for so long is taken for hung. Between two signs lies at most one pass over a micro-batch, */
const PATIENCE_MS = 8000;
/** and for a large model that pass gets as long as it would take at so many FLOPs per second, by engine. */
const SLOWEST_FLOPS: Readonly<Record<string, number>> = { native: 2e9 };
const SLOWEST_OTHER_FLOPS = 5e7;
/** TensorFlow.js takes seconds to load before a worker's first sign, many on a busy machine. */
const LOADING_MS = 30_000;
/** After a false alarm the repetition would fail in the same way: patience grows until it fits. */
const PATIENCE_GROWTH = 4;

export class Coordinator {
  readonly arena: Arena;
  private readonly control: Control;
  private readonly setup: WorkerSetup;
  private readonly queue: StepQueue;
  /** FLOPs of each training sample. */
  private readonly workOf: Float64Array;
  private readonly evaluationPlan: StepPlan;
  private pool: WorkerPool;
  private readonly pairing: Pairing;
  private readonly basePatienceMs: number;
  private patienceMs: number;

  constructor(private readonly options: CoordinatorOptions) {
    const { selection, shape, table, train, validation, batchSize, microBatches, workers } = options;
    this.evaluationPlan = planEvaluation(validation, EVALUATION_CHUNK_TOKENS);
    const chunks = this.evaluationPlan.starts.length - 1;
    this.arena = createArena(
      {
        flatLength: table.flatLength,
        slots: microBatches,
        packedLength: packedFloats(selection, shape),
        normBlocks: Math.ceil(table.flatLength / NORM_BLOCK),
        losses: chunks,
      },
      loadAddon(),
    );
    this.workOf = Float64Array.from({ length: train.count }, (_, sample) => sampleFlops(train, sample, shape));
    this.queue = createQueue({ microBatches, samples: batchSize, workers: MAX_WORKERS });
    const evaluationBoard = createBoard({ microBatches: chunks, samples: this.evaluationPlan.samples.length });
    evaluationBoard.write(this.evaluationPlan);
    const control = createControl(MAX_WORKERS);
    this.control = new Control(control);
    const single = batchCapacity(train, batchSize, microBatches);
    const pairs = selection.engine === 'native' && microBatches > 1;
    this.pairing = new Pairing(pairs ? PAIR_ROWS : 0);
    const capacity = largerCapacity(
      pairs ? largerCapacity(single, pairCapacity(single)) : single,
      planCapacity(this.evaluationPlan, validation),
    );
    this.setup = {
      shape,
      selection,
      arena: this.arena.description,
      control,
      capacity: { ...capacity, pairs },
      train: { corpus: train.buffers, queue: this.queue.description },
      evaluation: { corpus: validation.buffers, board: evaluationBoard.description },
    };
    this.basePatienceMs =
      options.team?.patienceMs ?? patienceFor(selection.engine, table.count, this.setup.capacity.rows);
    this.patienceMs = this.basePatienceMs;
    this.pool = this.startPool(workers);
  }

  get workers(): number {
    return this.pool.workers;
  }

  activities(): Activity[] {
    return this.control.activities(this.workers);
  }

  /** To be called once after the weights were written, and before the first step. */
  async refresh(): Promise<void> {
    await this.run({ kind: 'refresh' });
  }

  /**
   * A series of optimizer steps. While one is computed the next one lies ready, so workers go from one to the other without
   * waiting for anybody: an input is drawn when the result of the one before the last has been taken. Throws WorkerFailure after
   * the results of all steps that were finished; the workers must be replaced then. Whoever leaves early lets one more step be
   * computed, whose result is lost.
   */
  async *steps(settings: SeriesSettings, inputs: Iterable<StepInput>): AsyncGenerator<StepResult, void> {
    const { control } = this;
    const upcoming = inputs[Symbol.iterator]();
    const queued: EnqueuedStep[] = [];
    let published = 0;
    let isEnded = false;
    let isDone = false;
    const publishNext = () => {
      const { value: input, done } = upcoming.next();
      isEnded = done === true;
      if (isEnded) return control.endSeries();
      queued.push(this.enqueue(published++, input, settings.dropout));
      control.publish();
    };
    let endedMs = sharedNow();
    const run = this.run({ kind: 'steps', ...settings });
    run.catch(() => {}); // Its failure is dealt with below, maybe later.
    try {
      publishNext();
      for (let n = 0; ; n++) {
        if (!isEnded) publishNext();
        if (n === published) break;
        // A failure is known before the last worker has ended, and the step may be finished nevertheless.
        if (!(await control.untilFinished(n + 1))) await run.catch(() => {});
        if (!control.isFinished(n + 1)) break;
        const result = this.resultOf(n, queued.shift()!, endedMs);
        endedMs += result.ms;
        yield result;
      }
      isDone = true;
    } finally {
      if (!isEnded) control.endSeries();
      // Whoever leaves early doesn't want to know any more.
      await (isDone ? run : run.catch(() => {}));
    }
  }

  /** Writes number n of a series into its place of the queue. */
  private enqueue(n: number, { samples, lr }: StepInput, dropout: number): EnqueuedStep {
    const { train, microBatches, mergeDuplicates } = this.options;
    // Copies of a sample get masks of their own, so with dropout they are not the same computation.
    const plan = planStep(samples, train, {
      microBatches,
      mergeDuplicates: mergeDuplicates && dropout === 0,
      workOf: (sample) => this.workOf[sample],
    });
    const paired = this.pairing.decide(plan, this.workers);
    const place = this.queue.at(n);
    place.board.write(plan);
    place.writeHead({ lr, scoredTokens: plan.scoredTokens, paired });
    return { plan, paired };
  }

  private resultOf(n: number, { plan, paired }: EnqueuedStep, startedMs: number): StepResult {
    const place = this.queue.at(n);
    const reports = Array.from({ length: this.workers }, (_, rank) => place.readReport(rank));
    if (paired) this.pairing.learn(reports);
    const ms = Math.max(...reports.map((report) => report.endedMs)) - startedMs;
    const loss = sum(place.losses, plan.starts.length - 1);
    return { plan, loss, gradNorm: reports[0].gradNorm, reports, ms };
  }

  /** Mean cross-entropy over all scored tokens of the validation corpus, in nats. */
  async evaluate(): Promise<number> {
    await this.run({ kind: 'evaluate' });
    const { starts, scoredTokens } = this.evaluationPlan;
    return sum(this.arena.losses, starts.length - 1) / scoredTokens;
  }

  /** Another number of workers from the next task on: a new pool over the same memory. */
  async resize(workers: number): Promise<void> {
    await this.pool.close();
    this.pool = this.startPool(workers);
  }

  /** New threads over the same memory, after a WorkerFailure. */
  async replaceWorkers(): Promise<void> {
    await this.resize(this.workers);
  }

  async close(): Promise<void> {
    await this.pool.close();
  }

  private startPool(workers: number): WorkerPool {
    return createPool({ workers, setup: this.setup, control: this.control, entry: this.options.team?.entry });
  }

  /** Throws WorkerFailure; the workers must be replaced then. */
  private async run(task: TeamTask): Promise<void> {
    try {
      await this.pool.runAll(task, this.patienceMs);
      this.patienceMs = this.basePatienceMs;
    } catch (error) {
      if (error instanceof WorkerFailure && error.isStall) this.patienceMs *= PATIENCE_GROWTH;
      throw error;
    }
  }
}

/** Forward and backward cost about 6 FLOPs a parameter and token. */
function patienceFor(engine: string, parameters: number, rows: number): number {
  const slowest = SLOWEST_FLOPS[engine] ?? SLOWEST_OTHER_FLOPS;
  return Math.max(
    engine === 'native' ? PATIENCE_MS : PATIENCE_MS + LOADING_MS,
    (6 * parameters * rows * 1000) / slowest,
  );
}

/** In the order of the micro-batches, whoever computed them. */
function sum(values: Float64Array, count: number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += values[i];
  return total;
}
