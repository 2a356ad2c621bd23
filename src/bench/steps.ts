// A training step by phase, for one worker and more, on the configured data: by the coordinator that training uses. Rounds in
// which every number of workers has its turn over the same batches, so that what drifts hits all alike.

import type { Corpus } from '../data/corpus.js';
import { type EngineSelection, isEmulated } from '../engine/select.js';
import type { StepResult } from '../parallel/coordinator.js';
import { meanPhases, planFlops } from '../trainer/report.js';
import { median } from '../tune/statistics.js';
import { openSteps, type StepInputs, type StepRunner, shapeOf } from '../tune/steps.js';
import type { Effort } from './effort.js';
import type { Precision, PrecisionUse, StepFigures, StepPhase } from './report.js';

export interface StepRun {
  readonly inputs: Omit<StepInputs, 'selection'>;
  /** One for each precision that is measured. */
  readonly selections: readonly EngineSelection[];
  readonly mostWorkers: number;
  readonly physicalCores: number;
  /** GFLOPS of one core. */
  readonly peaks: Readonly<Record<Precision, number | null>>;
  readonly effort: Effort;
  /** Called before each turn; may throw to end the measurement. */
  readonly onPart: (workers: number) => Promise<void>;
}

/** All steps of one turn. */
export interface Turn {
  readonly steps: readonly StepSample[];
}

export interface StepSample {
  readonly ms: number;
  readonly tokens: number;
  readonly flops: number;
  readonly phases: Readonly<Record<Exclude<StepPhase, 'other'>, number>>;
}

const MOST_STEPS = 12;
const WARM_UP_STEPS = 12;
/** Up to here every number of workers, above the powers of two and the largest. */
const EVERY_UP_TO = 4;

export async function measureSteps(run: StepRun): Promise<StepFigures[]> {
  const figures: StepFigures[] = [];
  const merges = mergesToMeasure(run.inputs);
  const settings = run.selections.flatMap((selection) =>
    merges.map((mergeDuplicates) => ({
      selection,
      mergeDuplicates,
      share: 1 / (merges.length * run.selections.length),
    })),
  );
  for (const setting of settings) figures.push(...(await measureSetting(run, setting)));
  return figures;
}

interface Setting {
  readonly selection: EngineSelection;
  readonly mergeDuplicates: boolean;
  /** Of the time for all of them. */
  readonly share: number;
}

/** As a report says it. */
export function precisionOf(selection: EngineSelection): PrecisionUse {
  return { precision: selection.precision, isEmulated: isEmulated(selection) };
}

async function measureSetting(run: StepRun, { selection, mergeDuplicates, share }: Setting): Promise<StepFigures[]> {
  const { effort, physicalCores } = run;
  const inputs = { ...run.inputs, selection };
  const peak = run.peaks[selection.precision];
  const counts = workerCounts(run.mostWorkers);
  const turns = new Map<number, Turn[]>(counts.map((workers) => [workers, []]));
  const turnMs = (effort.stepMs * share) / (counts.length * effort.stepRounds);
  const { microBatch } = inputs.config.training;
  const runner = await openSteps(inputs, { threads: counts[0], microBatch, mergeDuplicates });
  let batches: number[] | null = null;
  try {
    for (let round = 0; round < effort.stepRounds; round++) {
      // There and back again: the one before is another one every second round.
      for (const workers of round % 2 === 0 ? counts : counts.toReversed()) {
        await run.onPart(workers);
        await runner.resize(workers);
        await runner.warmUp(WARM_UP_STEPS);
        batches ??= batchesThatTake(turnMs, (await runner.steps([1]))[0].ms);
        turns.get(workers)!.push(await takeTurn(runner, batches, inputs));
      }
    }
  } finally {
    await runner.close();
  }
  return counts.map((workers) => ({
    workers,
    ...precisionOf(selection),
    mergeDuplicates,
    ...summarise(turns.get(workers)!, turns.get(1)!, peak === null ? null : peak * Math.min(workers, physicalCores)),
  }));
}

/** With and without, where there is anything to merge; dropout gives copies masks of their own. */
export function mergesToMeasure({ config, train }: Pick<StepInputs, 'config' | 'train'>): boolean[] {
  const hasCopies = train.distinctCount < train.count && config.model.dropout === 0;
  return hasCopies ? [true, false] : [false];
}

export function workerCounts(most: number): number[] {
  const every = Array.from({ length: Math.min(most, EVERY_UP_TO) }, (_, i) => i + 1);
  for (let workers = 2 * EVERY_UP_TO; workers < most; workers *= 2) every.push(workers);
  return most > EVERY_UP_TO ? [...every, most] : every;
}

function batchesThatTake(ms: number, stepMs: number): number[] {
  const steps = Math.min(MOST_STEPS, Math.max(1, Math.round(ms / stepMs)));
  return Array.from({ length: steps }, (_, i) => i + 1);
}

async function takeTurn(runner: StepRunner, batches: readonly number[], inputs: StepInputs): Promise<Turn> {
  const steps = await runner.steps(batches);
  return { steps: steps.map((step) => sampleOf(step, inputs, inputs.train)) };
}

function sampleOf({ ms, plan, reports }: StepResult, inputs: StepInputs, train: Corpus): StepSample {
  return { ms, tokens: plan.tokens, flops: planFlops(plan, train, shapeOf(inputs)), phases: meanPhases(reports) };
}

const PHASES = ['forward', 'backward', 'reduce', 'update', 'wait'] as const;

/** `peak`: GFLOPS of the cores that these workers have. `ofOne`: the turns of one worker, in the same rounds. */
export function summarise(
  turns: readonly Turn[],
  ofOne: readonly Turn[],
  peak: number | null,
): Omit<StepFigures, 'workers' | 'mergeDuplicates' | keyof PrecisionUse> {
  const steps = turns.flatMap((turn) => turn.steps);
  const medianMs = median(steps.map(({ ms }) => ms));
  const [forward, backward, reduce, update, wait] = PHASES.map((name) =>
    median(steps.map(({ phases }) => phases[name])),
  );
  const gflops = median(turns.map((turn) => perMs(turn, ({ flops }) => flops))) / 1e6;
  return {
    steps: steps.length,
    medianMs,
    phases: {
      forward,
      backward,
      reduce,
      update,
      wait,
      other: Math.max(0, medianMs - forward - backward - reduce - update - wait),
    },
    tokensPerSec: 1000 * median(turns.map((turn) => perMs(turn, ({ tokens }) => tokens))),
    gflops,
    share: peak === null ? null : gflops / peak,
    speedUp: median(
      turns.map((turn, round) => perMs(turn, ({ tokens }) => tokens) / perMs(ofOne[round], ({ tokens }) => tokens)),
    ),
  };
}

function perMs({ steps }: Turn, amount: (step: StepSample) => number): number {
  const sum = (of: (step: StepSample) => number) => steps.reduce((total, step) => total + of(step), 0);
  return sum(amount) / sum(({ ms }) => ms);
}
