// After the training: a few questions to the best checkpoint, so that one sees at once whether the run was worth it.

import { basename, join } from 'node:path';
import { isCheckpoint } from '../../checkpoint/locate.js';
import type { Config } from '../../config/config.js';
import { loadRows } from '../../data/jsonl.js';
import { LoomError } from '../../errors.js';
import { drawItems } from '../../evaluation/draw.js';
import { type EvaluatedRow, evaluateRows, mergeCopies } from '../../evaluation/evaluate.js';
import { type Metrics, measure } from '../../evaluation/metrics.js';
import { formatCount, formatMs } from '../../ui/format.js';
import { quoteWord } from '../../ui/shell.js';
import { clean, padEnd } from '../../ui/text.js';
import { defaultDataPath } from '../eval/data.js';
import { type AnsweringModel, openModel } from '../infer/model.js';

export interface AcceptanceInputs {
  readonly config: Config;
  /** One JSON object instead of text. */
  readonly asJson: boolean;
  /** What `eval` must be told to look at the same checkpoint and data, as one types it. */
  readonly evalFlags: string;
}

/** Together about 2 s of one core with the default model. */
const TRAINING_ROWS = 100;
const UNSEEN_ROWS = 100;
/** For each of the two: a slow engine, or a model that hasn't learnt to end its answers, is asked less. */
const BUDGET_MS = 5000;
/** The same rows after every run. */
const SEED = 0;

/**
 * Asks the best checkpoint in the save folder, greedily: rows drawn from the training data and from what `eval` takes by default.
 * Writes a few lines. The run has succeeded already, so what can't be checked is said and not thrown.
 */
export async function reportAcceptance(inputs: AcceptanceInputs, write: (text: string) => void): Promise<void> {
  try {
    const result = await checkBest(inputs.config);
    write(inputs.asJson ? `${JSON.stringify(toJson(result))}\n` : formatAcceptance(result, inputs.evalFlags));
  } catch (error) {
    if (!(error instanceof LoomError)) throw error;
    const { name, message } = error;
    write(inputs.asJson ? `${JSON.stringify({ type: 'acceptance', error: `${name}: ${message}` })}\n` : failed(error));
  }
}

export interface AcceptanceResult {
  readonly checkpoint: string;
  readonly training: Metrics;
  /** null: the run has only one file for both. */
  readonly unseen: { readonly path: string; readonly rowsInFile: number; readonly metrics: Metrics } | null;
  readonly elapsedMs: number;
}

async function checkBest(config: Config): Promise<AcceptanceResult> {
  const start = performance.now();
  const { trainPath } = config.data;
  const unseenPath = defaultDataPath(config);
  const trainingRows = loadRows(trainPath);
  const unseenRows = unseenPath === trainPath ? null : loadRows(unseenPath);
  const model = await openModel(await bestFolder(config), config);
  try {
    const ask = (rows: typeof trainingRows, count: number) => answerRows(model, drawItems(rows, count, SEED));
    const training = measure(await ask(trainingRows, TRAINING_ROWS));
    const unseen = unseenRows && {
      path: unseenPath,
      rowsInFile: unseenRows.length,
      metrics: measure(await ask(unseenRows, UNSEEN_ROWS)),
    };
    return { checkpoint: model.path, training, unseen, elapsedMs: performance.now() - start };
  } finally {
    model.engine.close();
  }
}

/** A run that was never evaluated has no best one; its last one has the final weights. */
async function bestFolder({ training: { saveDir } }: Config): Promise<string> {
  const best = join(saveDir, 'best');
  return (await isCheckpoint(best)) ? best : join(saveDir, 'last');
}

async function answerRows(model: AnsweringModel, rows: Parameters<typeof mergeCopies>[0]): Promise<EvaluatedRow[]> {
  const answered: EvaluatedRow[] = [];
  const deadline = performance.now() + BUDGET_MS;
  for await (const row of evaluateRows(model.engine, model.tokenizer, mergeCopies(rows))) {
    answered.push(row);
    if (performance.now() > deadline) break;
  }
  return answered;
}

const LABEL = '  checked  ';
const INDENT = ' '.repeat(LABEL.length);
const WHERE_WIDTH = 20;

/** Lines below the summary of the run, each ended, aligned with it. */
export function formatAcceptance(
  { checkpoint, training, unseen, elapsedMs }: AcceptanceResult,
  evalFlags: string,
): string {
  // What `eval` looks at unless told otherwise.
  const ckpt = basename(checkpoint) === 'best' ? '' : ` --ckpt ${quoteWord(checkpoint)}`;
  const lines = [
    `${LABEL}${clean(checkpoint)} in ${formatMs(elapsedMs)}; all rows: npx gpt-loom eval${ckpt}${evalFlags}`,
    line('training rows', `${share(training.exact, training.rows)} answered exactly`),
    ...(unseen === null ? [] : unseenLines(unseen.path, unseen.metrics)),
  ];
  return lines.map((text) => `${text}\n`).join('');
}

function unseenLines(path: string, { taught, outside }: Metrics): string[] {
  const mistakes = outside.rows > 0 ? `, ${formatCount(taught.refused)} refused by mistake` : '';
  const texts = [
    ...(taught.rows > 0 ? [`${share(taught.exact, taught.rows)} answered exactly${mistakes}`] : []),
    ...(outside.rows > 0 ? [`${share(outside.refused, outside.rows)} questions outside refused`] : []),
  ];
  return texts.map((text, i) => line(i === 0 ? clean(basename(path)) : '', text));
}

function line(where: string, text: string): string {
  return `${INDENT}${padEnd(where, WHERE_WIDTH - 2)}  ${text}`;
}

function share(part: number, whole: number): string {
  return `${formatCount(part)} of ${formatCount(whole)}`;
}

function failed({ name, message }: LoomError): string {
  return `${LABEL}not possible. ${name}: ${message.replaceAll('\n', `\n${INDENT}`)}\n`;
}

function toJson({ checkpoint, training, unseen, elapsedMs }: AcceptanceResult): object {
  const figures = ({ rows, exact, loss, taught, outside }: Metrics) => ({ rows, exact, loss, taught, outside });
  return {
    type: 'acceptance',
    checkpoint,
    elapsedMs: Math.round(elapsedMs),
    training: figures(training),
    unseen: unseen && { path: unseen.path, rowsInFile: unseen.rowsInFile, ...figures(unseen.metrics) },
  };
}
