// Every checkpoint on every file, one after the other: answers, then the report. Data is read before any model is loaded.

import { loadRows, type Row } from '../../data/jsonl.js';
import { drawItems } from '../../evaluation/draw.js';
import { type EvaluatedRow, evaluateRows, mergeCopies } from '../../evaluation/evaluate.js';
import { measure } from '../../evaluation/metrics.js';
import { chooseThreshold, withholdBelow } from '../../evaluation/threshold.js';
import { wantsColour } from '../../ui/open.js';
import { createPaint } from '../../ui/paint.js';
import { interrupted } from '../infer/interrupt.js';
import { type AnsweringModel, loadModel } from '../infer/model.js';
import type { Output } from '../infer/print.js';
import { configFromOptions } from '../options.js';
import { defaultDataPath } from './data.js';
import type { EvalFlags, EvalOptions } from './flags.js';
import { createProgressLine } from './progress.js';
import { type Evaluation, formatReport, reportToJson } from './report.js';
import { formatThreshold, thresholdToJson } from './threshold.js';

/** Which rows --limit draws: the same ones for every model. */
const LIMIT_SEED = 0;

/** Throws ConfigError, DataError, CheckpointError, EngineError, FileError, NonFiniteError, and what `interrupted` gives. */
export async function evaluateAll(flags: EvalFlags, options: EvalOptions, output: Output): Promise<void> {
  const config = await configFromOptions(flags);
  const paths = options.isChoosing ? [config.data.valPath] : (options.dataPaths ?? [defaultDataPath(config)]);
  const files = paths.map((path) => ({ path, rows: loadRows(path) }));
  let isFirst = true;
  for (const ckpt of options.checkpoints) {
    const model = await loadModel({ ...flags, ckpt });
    if (model.engineNotice && isFirst && !options.asJson) output.stderr.write(`${model.engineNotice}\n`);
    try {
      for (const { path, rows } of files) {
        const evaluation = await evaluateFile(model, path, rows, options, output);
        const text = options.isChoosing ? choiceText(evaluation, options) : reportText(evaluation, options, output);
        output.stdout.write(isFirst || options.asJson ? text : `\n${text}`);
        isFirst = false;
      }
    } finally {
      model.engine.close();
    }
  }
}

async function evaluateFile(
  model: AnsweringModel,
  path: string,
  rows: readonly Row[],
  { limit, minConfidence }: EvalOptions,
  { stderr, signal }: Output,
): Promise<Evaluation> {
  const start = performance.now();
  const chosen = mergeCopies(limit === null ? rows : drawItems(rows, limit, LIMIT_SEED));
  const progress = createProgressLine(stderr, `${model.path} on ${path}:`);
  const evaluated: EvaluatedRow[] = [];
  try {
    for await (const row of evaluateRows(model.engine, model.tokenizer, chosen)) {
      if (signal.aborted) throw interrupted();
      evaluated.push(row);
      progress.show(evaluated.length, chosen.length);
    }
  } finally {
    progress.clear();
  }
  return {
    checkpoint: model.path,
    data: path,
    rowsInFile: rows.length,
    rows: withholdBelow(evaluated, minConfidence),
    elapsedMs: performance.now() - start,
    minConfidence,
  };
}

function reportText(evaluation: Evaluation, { asJson, wrong }: EvalOptions, { stdout }: Output): string {
  if (asJson) return `${JSON.stringify(reportToJson(evaluation))}\n`;
  const isColourful = stdout === process.stdout && process.stdout.isTTY && wantsColour(process.stdout, process.env);
  return formatReport(evaluation, createPaint(isColourful), wrong);
}

function choiceText({ checkpoint, data, rows }: Evaluation, { asJson }: EvalOptions): string {
  const metrics = measure(rows);
  const report = {
    ...chooseThreshold(rows),
    checkpoint,
    data,
    rows: metrics.rows,
    taughtRows: metrics.taught.rows,
    outsideRows: metrics.outside.rows,
  };
  return asJson ? `${JSON.stringify(thresholdToJson(report))}\n` : formatThreshold(report);
}
