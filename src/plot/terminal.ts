// The same curves as text for a terminal: a chart of the loss for each run, then the figures of all, to compare. Pure.

import { sparkline } from '../ui/charts/blocks.js';
import { drawChart } from '../ui/charts/braille.js';
import { formatCount, formatDuration, formatLoss, NOTHING } from '../ui/format.js';
import { composeLine } from '../ui/line.js';
import type { Paint } from '../ui/paint.js';
import type { SeriesPoint } from '../ui/series.js';
import { clean, padEnd, padStart, truncate, truncateStart, widthOf } from '../ui/text.js';
import type { RunCurves } from './curves.js';
import { LABELS, type Labels, type Language } from './labels.js';

export interface TerminalOptions {
  /** Columns, 40 or more. */
  readonly width: number;
  readonly language: Language;
  readonly paint: Paint;
}

const CHART_HEIGHT = 14;
const EVALUATION_MARK = '●';
const LONGEST_SPARKLINE = 40;

/** Lines of at most `width` columns. */
export function drawRunsAsText(runs: readonly RunCurves[], options: TerminalOptions): string[] {
  const labels = LABELS[options.language];
  return [...runs.flatMap((run) => [...runLines(run, labels, options), '']), ...table(runs, labels, options)];
}

function runLines(run: RunCurves, labels: Labels, { width, paint }: TerminalOptions): string[] {
  const { firstStep, lastStep } = run.figures;
  const head = composeLine(
    paint,
    width,
    [{ text: truncate(clean(run.name), Math.floor(width / 2)), style: 'bold', keep: 3 }],
    [
      { text: labels.loss, keep: 2 },
      { text: `${EVALUATION_MARK} ${labels.evaluation}`, style: 'yellow', keep: 1 },
    ],
  );
  const positive = (points: readonly SeriesPoint[]) => points.filter(({ y }) => y > 0);
  const chart = drawChart(
    {
      width,
      height: CHART_HEIGHT,
      x: { min: firstStep, max: Math.max(lastStep, firstStep + 1) },
      scale: 'log',
      line: positive(run.trainLoss),
      marks: positive(run.evalLoss),
      mark: EVALUATION_MARK,
      lineStyle: 'cyan',
      markStyle: 'yellow',
    },
    paint,
  );
  return [head, ...chart, ...sparklines(run, labels, width, paint)].map((line) => line.trimEnd());
}

function sparklines(run: RunCurves, labels: Labels, width: number, paint: Paint): string[] {
  const rows = [
    { label: labels.learningRate, points: run.learningRate },
    { label: labels.tokensPerSec, points: run.tokensPerSec },
  ];
  const labelWidth = Math.max(...rows.map(({ label }) => widthOf(label)));
  const columns = Math.min(LONGEST_SPARKLINE, width - labelWidth - 2);
  return rows.map(
    ({ label, points }) =>
      `${paint('dim', padEnd(label, labelWidth))}  ${paint('cyan', sparkline(resample(points, columns)))}`,
  );
}

/** Means of equal parts of the points. */
function resample(points: readonly SeriesPoint[], columns: number): number[] {
  const parts = Math.min(columns, points.length);
  return Array.from({ length: parts }, (_, i) => {
    const part = points.slice(Math.floor((i * points.length) / parts), Math.floor(((i + 1) * points.length) / parts));
    return part.reduce((sum, { y }) => sum + y, 0) / part.length;
  });
}

interface Column {
  readonly title: string;
  readonly cells: readonly string[];
  /** Who stays when there is no room. */
  readonly keep: number;
}

/** Of a run's name, before a column has to go. */
const LEAST_NAME = 12;

function table(runs: readonly RunCurves[], labels: Labels, { width, paint }: TerminalOptions): string[] {
  const figures = runs.map((run) => run.figures);
  const all: Column[] = [
    { title: labels.step, cells: figures.map((f) => formatCount(f.lastStep)), keep: 5 },
    { title: labels.shortLoss, cells: figures.map((f) => formatLoss(f.smoothedLoss)), keep: 4 },
    { title: labels.bestEvaluation, cells: figures.map((f) => formatLoss(f.bestEvalLoss)), keep: 6 },
    { title: labels.at, cells: figures.map((f) => (f.bestStep === null ? NOTHING : formatCount(f.bestStep))), keep: 1 },
    { title: labels.rate, cells: figures.map((f) => formatCount(f.tokensPerSec)), keep: 3 },
    { title: labels.time, cells: figures.map((f) => formatDuration(f.stepMs + f.evalMs)), keep: 2 },
  ];
  const longestName = Math.max(...runs.map(({ name }) => widthOf(clean(name))));
  const columns = columnsBeside(Math.min(longestName, LEAST_NAME), all, width);
  const widths = columns.map(widthOfColumn);
  const room = width - widths.reduce((sum, w) => sum + w + 2, 0);
  const nameWidth = Math.min(Math.max(1, room), longestName);
  const row = (name: string, cellOf: (column: Column) => string) =>
    truncate(
      padEnd(truncateStart(name, nameWidth), nameWidth) +
        columns.map((column, i) => `  ${padStart(cellOf(column), widths[i])}`).join(''),
      width,
    );
  return [
    paint(
      'dim',
      row('', ({ title }) => title),
    ),
    ...runs.map(({ name }, i) => row(clean(name), ({ cells }) => cells[i])),
  ];
}

/** The columns that fit beside a name of this width; at least one. */
function columnsBeside(nameWidth: number, all: readonly Column[], width: number): Column[] {
  let kept = [...all];
  const used = () => kept.reduce((sum, column) => sum + 2 + widthOfColumn(column), nameWidth);
  while (kept.length > 1 && used() > width) {
    const least = kept.reduce((a, b) => (b.keep < a.keep ? b : a));
    kept = kept.filter((column) => column !== least);
  }
  return kept;
}

function widthOfColumn({ title, cells }: Column): number {
  return Math.max(...[title, ...cells].map(widthOf));
}
