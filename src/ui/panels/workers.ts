// Is the CPU used well? One row per worker, and what they reach together.

import { sparkline } from '../charts/blocks.js';
import { shareOfPeak, tokensPerSecMean, tokensPerSecNow } from '../figures.js';
import { formatCount, formatCounted, formatPercent, formatShort, NOTHING } from '../format.js';
import { composeLine, flowParts, type Part } from '../line.js';
import { emptyRow, perSecond, type WorkerRow } from '../rates.js';
import { padEnd, padStart, widthOf } from '../text.js';
import type { Panel, PanelContext } from './panel.js';

interface Column {
  readonly title: string;
  readonly width: number;
  /** Free columns before it; right-aligned figures bring their own. */
  readonly gap: number;
  readonly isRight: boolean;
  /** Who stays when there is no room. */
  readonly keep: number;
  cell(row: WorkerRow, context: PanelContext): string;
}

/** Below this height there is no table, only a line or two; unless all of them fit in, below titles and above their sum. */
const HEIGHT_FOR_TABLE = 4;
const LINES_BESIDE_ROWS = 2;
const SPARK_WIDTHS = { least: 6, most: 60 };

export const workersPanel: Panel = {
  title: () => ({ left: 'workers' }),
  body: (context, width, height) =>
    height >= heightForTable(context) ? table(context, width, height) : shortForm(context, width, height),
};

function heightForTable(context: PanelContext): number {
  const rows = presentRows(context).length;
  return rows === 0 ? HEIGHT_FOR_TABLE : Math.min(HEIGHT_FOR_TABLE, rows + LINES_BESIDE_ROWS);
}

/** Tokens per second of all together, now and on average, and the share of the machine's peak. */
function totalParts({ view }: PanelContext): Part[] {
  const now = tokensPerSecNow(view);
  const mean = tokensPerSecMean(view);
  const peak = shareOfPeak(view.rates.flops, view.rates.ms, view.start?.peakGflops ?? null);
  return [
    { text: `${now === null ? NOTHING : formatCount(now)} tok/s`, style: 'bold', keep: 9 },
    { label: 'mean', text: mean === null ? NOTHING : formatCount(mean), keep: 7 },
    { text: peak === null ? '' : `${formatPercent(peak)} of peak`, keep: 8 },
  ];
}

function shortForm(context: PanelContext, width: number, height: number): string[] {
  const { view, live, paint } = context;
  const first = composeLine(paint, width, totalParts(context));
  const parts = view.workers.map((row) => {
    const now = context.isWatching ? '' : `${(live[row.rank] ?? '').padEnd(NOW.width)} `;
    const text = now + padStart(formatCount(perSecond(row.tokens, row.ms)), RATE.width);
    return { label: String(row.rank), text, keep: 1 };
  });
  const lines = flowParts(paint, width, parts);
  if (lines.length < height) return [first, ...lines];
  const busy = view.workers.reduce((sum, row) => sum + row.busyMs, 0);
  const all = view.workers.reduce((sum, row) => sum + row.ms, 0);
  const mean = `${formatCounted(view.workers.length, 'worker')}, ${formatPercent(all > 0 ? busy / all : 0)} busy`;
  return [first, composeLine(paint, width, [{ text: mean, keep: 1 }])].slice(0, height);
}

function table(context: PanelContext, width: number, height: number): string[] {
  const { paint } = context;
  const workers = presentRows(context);
  const columns = columnsThatFit(width, workers.length, context.isWatching ?? false);
  const room = height - LINES_BESIDE_ROWS;
  const rows = workers.length > room ? workers.slice(0, room - 1) : workers;
  const lines = rows.map((row) => tableLine(columns, width, (column) => column.cell(row, context)));
  if (rows.length < workers.length) {
    lines.push(padEnd(`and ${formatCount(workers.length - rows.length)} more`, width));
  }
  const titles = paint(
    'dim',
    tableLine(columns, width, (column) => column.title),
  );
  return [titles, ...lines, composeLine(paint, width, totalParts(context))];
}

/** Those that will work have their rows from the start, so that nothing moves with the first step. */
function presentRows({ view }: PanelContext): readonly WorkerRow[] {
  if (view.lastStep !== null || view.start === null) return view.workers;
  return Array.from({ length: view.start.workers }, (_, rank) => emptyRow(rank));
}

/** What a worker does now only its own process knows. */
function columnsThatFit(width: number, workers: number, isWatching: boolean): Column[] {
  const spark = sparkColumn(SPARK_WIDTHS.least);
  const all: Column[] = [rankColumn(workers), ...(isWatching ? [] : [NOW]), RATE, spark, BUSY, WAIT, DONE];
  const kept = new Set(all);
  const used = () => [...kept].reduce((sum, column) => sum + column.gap + column.width, 0);
  while (kept.size > 1 && used() > width) {
    kept.delete([...kept].reduce((least, column) => (column.keep < least.keep ? column : least)));
  }
  const grown = Math.min(SPARK_WIDTHS.most, SPARK_WIDTHS.least + width - used());
  return all.filter((column) => kept.has(column)).map((column) => (column === spark ? sparkColumn(grown) : column));
}

function tableLine(columns: readonly Column[], width: number, text: (column: Column) => string): string {
  const cells = columns.map((column) => {
    const cell = (column.isRight ? padStart : padEnd)(text(column), column.width);
    return ' '.repeat(column.gap) + cell;
  });
  const line = cells.join('');
  return line + ' '.repeat(Math.max(0, width - widthOf(line)));
}

const NOW: Column = {
  title: 'now',
  width: 8,
  gap: 2,
  isRight: false,
  keep: 7,
  cell: (row, { live }) => live[row.rank] ?? '',
};
const RATE: Column = {
  title: 'tok/s',
  width: 6,
  gap: 1,
  isRight: true,
  keep: 8,
  cell: (row) => (row.ms > 0 ? formatCount(perSecond(row.tokens, row.ms)) : NOTHING),
};
const BUSY: Column = {
  title: 'busy',
  width: 5,
  gap: 1,
  isRight: true,
  keep: 6,
  cell: (row) => (row.ms > 0 ? formatPercent(row.busyMs / row.ms) : NOTHING),
};
const WAIT: Column = {
  title: 'wait',
  width: 5,
  gap: 1,
  isRight: true,
  keep: 5,
  cell: (row) => (row.ms > 0 ? formatPercent(row.waitMs / row.ms) : NOTHING),
};
const DONE: Column = { title: 'done', width: 6, gap: 1, isRight: true, keep: 2, cell: (row) => formatShort(row.done) };

function rankColumn(workers: number): Column {
  const width = String(Math.max(0, workers - 1)).length;
  return { title: '#', width, gap: 0, isRight: true, keep: 9, cell: (row) => String(row.rank) };
}

function fastest(rows: readonly WorkerRow[]): number {
  return Math.max(0, ...rows.flatMap((row) => row.history));
}

function sparkColumn(width: number): Column {
  return {
    title: width >= 11 ? 'last minute' : 'trend',
    width,
    gap: 2,
    isRight: false,
    keep: 4,
    // One measure for all rows: the slower worker has the lower line.
    cell: (row, { view }) => sparkline(row.history.slice(-width), fastest(view.workers)),
  };
}
