// Training steps at will: the configured model with random weights on the configured data, by the coordinator that training uses.

import type { Config } from '../config/config.js';
import type { Corpus } from '../data/corpus.js';
import { createDataOrder } from '../data/order.js';
import type { EngineSelection } from '../engine/select.js';
import { initializeWeights } from '../model/init.js';
import { createParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import { learningRate } from '../optim/schedule.js';
import { Coordinator, type StepResult } from '../parallel/coordinator.js';

export interface StepInputs {
  readonly config: Config;
  readonly selection: EngineSelection;
  readonly vocabSize: number;
  readonly train: Corpus;
  readonly validation: Corpus;
}

export interface StepSetting {
  readonly threads: number;
  /** Samples per micro-batch. */
  readonly microBatch: number;
  readonly mergeDuplicates: boolean;
}

export interface TimedStep extends StepResult {
  readonly ms: number;
}

export interface StepRunner {
  /** One step over the batch that training has in step `batch` (from 1). */
  step(batch: number): Promise<TimedStep>;
  /** New threads make the first steps slow, as do cold caches and untouched memory: takes a few, `most` of them. */
  warmUp(most: number): Promise<void>;
  /** Another number of workers over the same memory. */
  resize(threads: number): Promise<void>;
  close(): Promise<void>;
}

const WARM_UP_MS = 300;

export function shapeOf({ config, vocabSize }: StepInputs): ModelShape {
  const { nLayer, nHead, nEmbd, seqLen } = config.model;
  return { nLayer, nHead, nEmbd, seqLen, vocabSize };
}

export async function openSteps(inputs: StepInputs, setting: StepSetting): Promise<StepRunner> {
  const { config, selection, train, validation } = inputs;
  const { dropout } = config.model;
  const { batchSize, seed, gradClip } = config.training;
  const shape = shapeOf(inputs);
  const table = createParameterTable(shape);
  const order = createDataOrder({ samples: train.count, batchSize, seed, shuffle: config.data.shuffle });
  const coordinator = new Coordinator({
    selection,
    shape,
    table,
    train,
    validation,
    batchSize,
    microBatches: batchSize / setting.microBatch,
    mergeDuplicates: setting.mergeDuplicates,
    workers: setting.threads,
  });
  initializeWeights(table, seed, coordinator.arena.weights);
  await coordinator.refresh();
  let done = 0;
  const step = async (batch: number) => {
    const started = performance.now();
    const settings = { step: ++done, dropout, seed, gradClip };
    const adamw = { ...config.training, lr: learningRate(config.training, done) };
    const result = await coordinator.step(order.batch(batch), { ...settings, adamw });
    return { ...result, ms: performance.now() - started };
  };
  return {
    step,
    async warmUp(most) {
      const started = performance.now();
      for (let i = 0; i < most && performance.now() - started < WARM_UP_MS; i++) await step(1);
    },
    resize: (threads) => coordinator.resize(threads),
    close: () => coordinator.close(),
  };
}
