// Training steps at will: the configured model with random weights on the configured data, by the coordinator that training uses.

import type { Config } from '../config/config.js';
import type { Corpus } from '../data/corpus.js';
import { createDataOrder } from '../data/order.js';
import type { EngineSelection } from '../engine/select.js';
import { initializeWeights } from '../model/init.js';
import { createParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import { learningRate } from '../optim/schedule.js';
import { Coordinator, type StepInput, type StepResult } from '../parallel/coordinator.js';

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

export interface StepRunner {
  /** A series of steps over the batches that training has in those steps (from 1). */
  steps(batches: readonly number[]): Promise<StepResult[]>;
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
  const run = async (batches: Iterable<number>) => {
    function* inputs(): Generator<StepInput> {
      for (const batch of batches) yield { samples: order.batch(batch), lr: learningRate(config.training, ++done) };
    }
    const results: StepResult[] = [];
    const settings = { first: done + 1, dropout, seed, gradClip, adamw: config.training };
    for await (const result of coordinator.steps(settings, inputs())) results.push(result);
    return results;
  };
  return {
    steps: run,
    async warmUp(most) {
      const started = performance.now();
      function* firstBatch() {
        for (let i = 0; i < most && performance.now() - started < WARM_UP_MS; i++) yield 1;
      }
      await run(firstBatch());
    },
    resize: (threads) => coordinator.resize(threads),
    close: () => coordinator.close(),
  };
}
