// A setting at work: real training steps of the configured model on the configured data, by the coordinator that training uses.

import { freemem } from 'node:os';
import type { Config } from '../config/config.js';
import type { Corpus } from '../data/corpus.js';
import { createDataOrder } from '../data/order.js';
import { type EngineSelection, packedFloats } from '../engine/select.js';
import { initializeWeights } from '../model/init.js';
import { createParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import { learningRate } from '../optim/schedule.js';
import { Coordinator } from '../parallel/coordinator.js';
import type { WorkerReport } from '../parallel/tasks.js';
import type { Visit } from './measurement.js';
import type { Trial } from './rounds.js';
import type { Setting } from './settings.js';

export interface TrialInputs {
  readonly config: Config;
  readonly selection: EngineSelection;
  readonly vocabSize: number;
  readonly train: Corpus;
  readonly validation: Corpus;
}

/** A visit is long enough to average over steps, and short enough that a round takes seconds. */
const VISIT_MS = 350;
const MOST_STEPS = 8;
/** New threads, cold caches and untouched memory make the first steps slow. */
const WARM_UP_MS = 150;
const MOST_WARM_UP_STEPS = 3;
/** A thread with its heap, and what it computes in. */
const WORKER_BYTES = 48 * 2 ** 20;
/** The rest is left to other programs. */
const SHARE_OF_MEMORY = 0.6;

/** Returns what opens trials. All visits of all trials run the same batches, whose number the first trial's speed decides. */
export function createTrialOpener(inputs: TrialInputs): (setting: Setting) => Promise<Trial | null> {
  const { config, selection, train, validation, vocabSize } = inputs;
  const { nLayer, nHead, nEmbd, seqLen, dropout } = config.model;
  const { batchSize, mergeDuplicates, seed, gradClip } = config.training;
  const shape: ModelShape = { nLayer, nHead, nEmbd, seqLen, vocabSize };
  const table = createParameterTable(shape);
  const order = createDataOrder({ samples: train.count, batchSize, seed, shuffle: config.data.shuffle });
  let steps: number | null = null;

  return async (setting) => {
    const microBatches = batchSize / setting.microBatch;
    const floats = (3 + microBatches) * table.flatLength + packedFloats(selection, shape);
    const isFirst = steps === null;
    if (!isFirst && floats * 4 + setting.threads * WORKER_BYTES > SHARE_OF_MEMORY * availableMemory()) return null;
    const coordinator = new Coordinator({
      selection,
      shape,
      table,
      train,
      validation,
      batchSize,
      microBatches,
      mergeDuplicates,
      workers: setting.threads,
    });
    initializeWeights(table, seed, coordinator.arena.weights);
    await coordinator.refresh();
    let done = 0;
    const step = async (batch: number) => {
      const started = performance.now();
      const settings = { step: ++done, dropout, seed, gradClip };
      const adamw = { ...config.training, lr: learningRate(config.training, done) };
      const { plan, reports } = await coordinator.step(order.batch(batch), { ...settings, adamw });
      return { ms: performance.now() - started, tokens: plan.tokens, reports };
    };
    await warmUp(step, MOST_WARM_UP_STEPS);
    steps ??= Math.min(MOST_STEPS, Math.max(1, Math.round(VISIT_MS / (await step(1)).ms)));
    const batches = Array.from({ length: steps }, (_, i) => i + 1);
    return {
      async visit() {
        await warmUp(step, 1);
        return measureVisit(batches, step);
      },
      close: () => coordinator.close(),
    };
  };
}

interface StepTime {
  readonly ms: number;
  readonly tokens: number;
  readonly reports: readonly WorkerReport[];
}

async function warmUp(step: (batch: number) => Promise<StepTime>, most: number): Promise<void> {
  const started = performance.now();
  for (let i = 0; i < most && performance.now() - started < WARM_UP_MS; i++) await step(1);
}

async function measureVisit(
  batches: readonly number[],
  step: (batch: number) => Promise<StepTime>,
): Promise<Omit<Visit, 'round'>> {
  const cpu = process.cpuUsage();
  const times: StepTime[] = [];
  for (const batch of batches) times.push(await step(batch));
  const { user, system } = process.cpuUsage(cpu);
  const busyMs = sum(times.flatMap(({ reports }) => reports.map(busyTime)));
  return {
    ms: sum(times.map(({ ms }) => ms)),
    tokens: sum(times.map(({ tokens }) => tokens)),
    // While it has work, a worker uses all of its processor, unless something else is running there.
    starved: busyMs > 0 ? Math.max(0, 1 - (user + system) / 1000 / busyMs) : 0,
  };
}

function busyTime(report: WorkerReport): number {
  return report.forwardMs + report.backwardMs + report.reduceMs + report.updateMs;
}

/** Bytes; within a container, what its limit leaves. Node tells that from 20.13 on. */
function availableMemory(): number {
  return process.availableMemory?.() ?? freemem();
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
