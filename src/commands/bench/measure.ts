// All parts of a benchmark, one after the other, each alone on the machine as far as that is in our hands.

import { readFileSync } from 'node:fs';
import { loadAddon } from '../../addon/addon.js';
import { FULL, QUICK } from '../../bench/effort.js';
import { measureInference, promptOfHalf, randomWeights } from '../../bench/inference.js';
import { type MicroBatchSize, measureKernels } from '../../bench/kernels.js';
import { measureMachine } from '../../bench/machine.js';
import type { BenchReport, MachineFacts } from '../../bench/report.js';
import { measureSteps, precisionOf } from '../../bench/steps.js';
import type { Config } from '../../config/config.js';
import { configToYamlObject } from '../../config/load.js';
import { createCorpus } from '../../data/corpus.js';
import { loadRows } from '../../data/jsonl.js';
import { chooseIsa } from '../../engine/isa.js';
import {
  describeEngine,
  type EngineSelection,
  inOtherPrecision,
  prepareEngine,
  selectEngine,
} from '../../engine/select.js';
import { type Cores, countCores } from '../../machine/cores.js';
import { cpuFeatures, cpuModel } from '../../machine/cpu.js';
import { createParameterTable } from '../../model/parameters.js';
import { MAX_WORKERS } from '../../parallel/coordinator.js';
import { loadTokenizer, type Tokenizer } from '../../tokenizer/tokenizer.js';
import { othersBusy, readProcessorTimes } from '../../tune/others.js';
import { type StepInputs, shapeOf } from '../../tune/steps.js';
import { measureFirstToken } from './first-token.js';
import type { Parts } from './progress.js';
import { type BenchSizes, joinRows, microBatchSize } from './rows.js';
import { warningsOf } from './warnings.js';

export interface PreparedBench {
  readonly inputs: StepInputs;
  /** The engine in every precision that is measured: first that of `inputs`. */
  readonly selections: readonly EngineSelection[];
  readonly tokenizer: Tokenizer;
  readonly tokenizerJson: string;
  readonly prompt: string;
  readonly cores: Cores;
  /** Most workers, and most threads that are measured together. */
  readonly threads: number;
  readonly batch: MicroBatchSize;
  /** The instruction set that peaks and memory are measured with; null without the addon. */
  readonly isa: string | null;
}

export async function prepareBench(config: Config, { rows, sequence }: BenchSizes): Promise<PreparedBench> {
  const selections = selectionsFor(config);
  const [selection] = selections;
  const tokenizer = loadTokenizer(config.tokenizer.path);
  const { seqLen } = config.model;
  const { threads, microBatch } = config.training;
  const trainRows = loadRows(config.data.trainPath);
  const tokensOf = (text: string) => tokenizer.encode(text, { special: false }).length;
  const sampleRows = sequence === null ? trainRows : joinRows(trainRows, tokensOf, sequence);
  const train = createCorpus(sampleRows, tokenizer, seqLen);
  const validation = createCorpus(loadRows(config.data.valPath), tokenizer, seqLen);
  await prepareEngine(selection);
  const cores = countCores();
  const addon = loadAddon();
  return {
    inputs: { config, selection, vocabSize: tokenizer.vocabSize, train, validation },
    selections,
    tokenizer,
    tokenizerJson: readFileSync(config.tokenizer.path, 'utf8'),
    prompt: promptOfHalf(
      trainRows.map(({ prompt }) => prompt),
      tokenizer,
      seqLen,
    ),
    cores,
    threads: threads === 'auto' ? Math.min(cores.usablePhysical, MAX_WORKERS) : threads,
    batch: microBatchSize(train, microBatch, rows),
    isa: addon === null ? null : chooseIsa(addon),
  };
}

/** `precision: auto` means all that there are. */
function selectionsFor({ engine, precision, tfjs }: Config): EngineSelection[] {
  const selection = selectEngine(engine, precision, tfjs.backend);
  const other = precision === 'auto' ? inOtherPrecision(selection) : null;
  return other === null ? [selection] : [selection, other];
}

export async function measureAll(prepared: PreparedBench, isQuick: boolean, parts: Parts): Promise<BenchReport> {
  const { inputs, selections, tokenizer, prompt, cores, threads, batch, isa } = prepared;
  const { config, selection } = inputs;
  const { training } = config;
  const effort = isQuick ? QUICK : FULL;
  const shape = shapeOf(inputs);
  const date = new Date().toISOString();
  const before = readProcessorTimes();

  const machine =
    isa === null ? null : await measureMachine(isa, threads, effort, (what) => parts.begin(`the machine: ${what}`));
  const peaks = {
    fp32: machine?.peaks.fp32?.oneThread ?? null,
    bf16: machine?.peaks.bf16?.oneThread ?? null,
  };
  const precisions = selections.map(precisionOf);
  const kernels =
    selection.engine !== 'native'
      ? null
      : await measureKernels({
          isa: selection.isa,
          precisions,
          shape,
          batch,
          microBatches: training.batchSize / training.microBatch,
          adamw: training,
          peaks,
          ms: effort.kernelMs,
          onPart: () => parts.begin('kernels'),
        });
  const steps = await measureSteps({
    inputs,
    selections,
    mostWorkers: threads,
    physicalCores: cores.usablePhysical,
    peaks,
    effort,
    onPart: (workers) => parts.begin(`training steps, ${workers} worker${workers === 1 ? '' : 's'}`),
  });
  const answers = { selection, shape, tokenizer, prompt, answers: effort.answers };
  const inference = await measureInference({ ...answers, onPart: () => parts.begin('answers') });
  // Before other processes are started: their work would count as that of others.
  const others = othersBusy(before, readProcessorTimes(), cores);
  const firstTokenMs = await measureFirstToken({
    weights: randomWeights(shape),
    vocabSize: shape.vocabSize,
    config: configToYamlObject(config),
    tokenizerJson: prepared.tokenizerJson,
    engine: selection.engine,
    prompt,
    starts: effort.starts,
    onPart: () => parts.begin('the start of infer'),
  });
  return {
    format: 2,
    date,
    isQuick,
    machine: machineFacts(cores),
    engine: { ...describeEngine(selection), precisions },
    model: { ...shape, parameters: createParameterTable(shape).count },
    peaks: machine?.peaks ?? { fp32: null, bf16: null },
    memory: machine?.memory ?? null,
    kernels,
    steps,
    inference,
    firstTokenMs,
    othersBusy: others,
    warnings: warningsOf({ othersBusy: others, threads, cores }),
  };
}

function machineFacts(cores: Cores): MachineFacts {
  return {
    cpu: cpuModel(),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    physicalCores: cores.usablePhysical,
    logicalCores: cores.usableLogical,
    features: cpuFeatures(),
  };
}
