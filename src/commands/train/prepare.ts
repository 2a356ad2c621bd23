// Everything a run needs before its first step: checked and loaded, or an error that says what to do.

import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { knownPeak } from '../../bench/stored-peak.js';
import { locateCheckpoint } from '../../checkpoint/locate.js';
import { ensureWritable } from '../../checkpoint/writable.js';
import type { Config } from '../../config/config.js';
import { configToYamlObject } from '../../config/load.js';
import { createCorpus } from '../../data/corpus.js';
import { loadRows } from '../../data/jsonl.js';
import { type EngineSelection, prepareEngine, selectEngine } from '../../engine/select.js';
import { physicalCores } from '../../machine/cores.js';
import { MAX_WORKERS } from '../../parallel/coordinator.js';
import { loadTokenizer } from '../../tokenizer/tokenizer.js';
import type { TrainInputs } from '../../trainer/trainer.js';
import { loadTuneResult, thisMachineWith } from '../../tune/stored.js';
import { shouldUseDashboard } from '../../ui/open.js';
import type { TrainOptions } from '../train.js';
import { checkSize } from './size.js';

export interface PreparedRun {
  readonly inputs: TrainInputs;
  readonly useDashboard: boolean;
}

/** Prompts that the dashboard has answered after each evaluation. */
const DASHBOARD_SAMPLES = 4;

export async function prepareRun(config: Config, options: TrainOptions): Promise<PreparedRun> {
  const selection = selectEngine(config.engine, config.precision, config.tfjs.backend);
  const tokenizer = loadTokenizer(config.tokenizer.path);
  const { seqLen } = config.model;
  checkSize(config, tokenizer.vocabSize, totalmem());
  const trainRows = loadRows(config.data.trainPath);
  const validationRows = loadRows(config.data.valPath);
  const train = createCorpus(trainRows, tokenizer, seqLen);
  const validation = createCorpus(validationRows, tokenizer, seqLen);
  const { saveDir } = config.training;
  // Before a folder is made: with nothing to resume there shall be none.
  if (options.resume) await locateCheckpoint(join(saveDir, 'last'));
  await ensureWritable(saveDir);
  await prepareEngine(selection);
  const useDashboard = shouldUseDashboard({
    stdin: process.stdin,
    stdout: process.stdout,
    env: process.env,
    flags: options,
  });
  return {
    useDashboard,
    inputs: {
      config,
      configRecord: configToYamlObject(config),
      selection,
      workers: workerCount(config.training.threads, selection),
      tokenizer,
      tokenizerJson: readFileSync(config.tokenizer.path, 'utf8'),
      train,
      validation,
      validationRows,
      resume: options.resume ?? false,
      samplePrompts: useDashboard ? DASHBOARD_SAMPLES : 0,
      // Before there are workers, which it would have to share the core with.
      corePeakGflops: knownPeak(selection),
    },
  };
}

/** For auto what `gpt-loom tune` found best on this machine; before it was asked, the physical cores. */
export function workerCount(threads: number | 'auto', selection: EngineSelection): number {
  if (threads === 'auto') {
    const tuned = loadTuneResult(thisMachineWith(selection));
    return Math.min(tuned?.threads ?? physicalCores(), MAX_WORKERS);
  }
  return threads;
}
