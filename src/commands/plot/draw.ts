// What `gpt-loom plot` does: reads the runs, writes the picture, prints the chart or the figures.

import { dirname, join } from 'node:path';
import { ConfigError, DataError } from '../../errors.js';
import { curvesOf, type RunCurves } from '../../plot/curves.js';
import { isLanguage, LABELS } from '../../plot/labels.js';
import { drawRuns } from '../../plot/runs.js';
import { drawRunsAsText } from '../../plot/terminal.js';
import { loadMetrics, locateMetrics } from '../../trainer/metrics-reader.js';
import { wantsColour } from '../../ui/open.js';
import { createPaint } from '../../ui/paint.js';
import { configFromOptions } from '../options.js';
import type { PlotOptions } from '../plot.js';
import { saveText } from './save-text.js';

export async function plotRuns(folders: readonly string[], options: PlotOptions): Promise<void> {
  const { lang: language, json } = options;
  if (!isLanguage(language)) {
    throw new ConfigError(
      `--lang ${language} is not a language of the labels.\n  Use one of: ${Object.keys(LABELS).join(', ')}.`,
    );
  }
  const chosen = folders.length > 0 ? folders : [(await configFromOptions(options)).training.saveDir];
  const runs = [...new Set(chosen)].map(loadRun);
  const out = options.out ?? defaultOut(chosen);
  saveText(out, drawRuns(runs, language), '--out');
  if (json) {
    const figures = runs.map(({ name, figures }) => ({ run: name, ...figures }));
    process.stdout.write(`${JSON.stringify({ out, runs: figures })}\n`);
    return;
  }
  const { stdout } = process;
  const lines = drawRunsAsText(runs, {
    width: widthOf(stdout),
    language,
    paint: createPaint(stdout.isTTY && wantsColour(stdout, process.env)),
  });
  stdout.write(`${lines.join('\n')}\n\nwritten to ${out}\n`);
}

function loadRun(folder: string): RunCurves {
  const curves = curvesOf(folder, loadMetrics(folder));
  if (curves !== null) return curves;
  throw new DataError(
    `${locateMetrics(folder)} has no step in it yet.\n  Expected at least one finished step. Wait for it, or choose another run.`,
  );
}

const OUT_NAME = 'plot.svg';

function defaultOut(folders: readonly string[]): string {
  if (folders.length > 1) return OUT_NAME;
  return join(folders[0].endsWith('.jsonl') ? dirname(folders[0]) : folders[0], OUT_NAME);
}

const NARROWEST = 40;
/** Without a terminal, and as far as lines are easy to read. */
const USUAL = 80;
const WIDEST = 120;

function widthOf(stdout: NodeJS.WriteStream): number {
  return Math.min(WIDEST, Math.max(NARROWEST, stdout.columns ?? USUAL));
}
