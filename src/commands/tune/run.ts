// What `gpt-loom tune` does: prepares a training, measures its steps under each setting, says what came out, keeps it.

import type { Config } from '../../config/config.js';
import { createCorpus } from '../../data/corpus.js';
import { loadRows } from '../../data/jsonl.js';
import { describeEngine, type EngineSelection, prepareEngine, selectEngine } from '../../engine/select.js';
import { EngineError } from '../../errors.js';
import { type Cores, countCores } from '../../machine/cores.js';
import { cpuModel } from '../../machine/cpu.js';
import { drawTuning } from '../../plot/tuning.js';
import { loadTokenizer } from '../../tokenizer/tokenizer.js';
import { othersBusy, readProcessorTimes } from '../../tune/others.js';
import { recommend } from '../../tune/recommend.js';
import { saveTuneResult, thisMachineWith } from '../../tune/stored.js';
import type { TrialInputs } from '../../tune/trial.js';
import { wantsColour } from '../../ui/open.js';
import { createPaint } from '../../ui/paint.js';
import { CommandExit } from '../exit.js';
import { saveText } from '../plot/save-text.js';
import { workerCount } from '../train/prepare.js';
import type { TuneOptions } from '../tune.js';
import { parseBudget } from './budget.js';
import { type TuneOutcome, toJson } from './json.js';
import { measure } from './measure.js';
import { tableLines } from './table.js';
import { recommendationLines } from './words.js';
import { configPathOf, writeChoice } from './write.js';

const WIDEST = 100;
const USUAL_WIDTH = 80;
/** Exit code when --write found nothing certain enough to write. */
const NOT_WRITTEN = 1;

export async function tune(config: Config, options: TuneOptions): Promise<void> {
  const budgetMs = parseBudget(options.budget);
  const inputs = await prepareTrials(config);
  const cores = countCores();
  const { batchSize, microBatch, threads } = config.training;
  const present = { threads: workerCount(threads, inputs.selection), microBatch };
  const grid = { batchSize, present, logical: cores.usableLogical, physical: cores.usablePhysical };
  const { stdout } = process;
  const screen = {
    cores,
    width: Math.min(WIDEST, stdout.columns ?? USUAL_WIDTH),
    paint: createPaint(stdout.isTTY === true && wantsColour(stdout, process.env)),
  };
  const head = headLines(inputs.selection, cores, batchSize);
  const before = readProcessorTimes();
  const { measurements, comparison } = await measure(inputs, grid, {
    ...screen,
    head,
    budgetMs,
    isSilent: options.json ?? false,
  });
  const others = othersBusy(before, readProcessorTimes(), cores);
  const recommendation = recommend(measurements, { ...grid, othersBusy: others });
  if (recommendation === null) {
    throw new EngineError(
      'Not a single setting could be measured within the budget.\n' +
        '  Expected at least one training step to fit. Give it more time: --budget 5m.',
    );
  }

  if (options.plot !== undefined)
    saveText(options.plot, drawTuning(measurements, recommendation, comparison), '--plot');
  const isSure = recommendation.doubts.length === 0;
  const path = configPathOf(options);
  const isChanged = options.write && isSure ? writeChoice(path, recommendation.setting) : null;
  const { precision } = inputs.selection;
  const outcome: TuneOutcome = { measurements, recommendation, grid, othersBusy: others, precision, comparison };
  if (isChanged !== null) keepResult(outcome, inputs.selection);
  if (options.json) {
    stdout.write(`${JSON.stringify({ ...toJson(outcome), written: isChanged === null ? null : path })}\n`);
  } else {
    const notes = [
      ...(options.plot === undefined ? [] : [`drawn to ${options.plot}`]),
      ...(options.write ? [writeNote(path, isChanged)] : []),
    ];
    const table = tableLines({ ...screen, measurements, recommended: recommendation.setting, comparison });
    const words = recommendationLines(recommendation, { ...grid, width: screen.width, comparison });
    stdout.write(`${[...(stdout.isTTY ? head : []), '', ...table, '', ...words, ...notes].join('\n')}\n`);
  }
  if (options.write && !isSure) throw new CommandExit(NOT_WRITTEN);
}

async function prepareTrials(config: Config): Promise<TrialInputs> {
  const selection = selectEngine(config.engine, config.precision, config.tfjs.backend);
  const tokenizer = loadTokenizer(config.tokenizer.path);
  const { seqLen } = config.model;
  const train = createCorpus(loadRows(config.data.trainPath), tokenizer, seqLen);
  const validation = createCorpus(loadRows(config.data.valPath), tokenizer, seqLen);
  await prepareEngine(selection);
  return { config, selection, vocabSize: tokenizer.vocabSize, train, validation };
}

function headLines(selection: EngineSelection, cores: Cores, batchSize: number): string[] {
  const { name, detail } = describeEngine(selection);
  return [
    `gpt-loom tune on ${cpuModel()}`,
    `${cores.usablePhysical} physical of ${cores.usableLogical} logical cores, ${name} ${detail} ${selection.precision}, ` +
      `batches of ${batchSize} samples`,
  ];
}

/** For configurations that say `threads: auto`. */
function keepResult({ recommendation }: TuneOutcome, selection: EngineSelection): void {
  saveTuneResult({
    machine: thisMachineWith(selection),
    threads: recommendation.setting.threads,
    micro_batch: recommendation.setting.microBatch,
    tokens_per_sec: recommendation.tokensPerSec,
    measured_at: new Date().toISOString(),
  });
}

function writeNote(path: string, isChanged: boolean | null): string {
  if (isChanged === null) return `${path} is left as it was, since the result is uncertain.`;
  return isChanged ? `written to ${path}` : `${path} says so already`;
}
