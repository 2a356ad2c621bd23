// What `gpt-loom tune` shows: a table of all settings with bars, while it measures and at the end. Pure.

import type { Cores } from '../../machine/cores.js';
import { type Measurement, relativeSpread, tokensPerSec } from '../../tune/measurement.js';
import type { PrecisionComparison } from '../../tune/precisions.js';
import type { Progress } from '../../tune/rounds.js';
import { isSame, type Setting } from '../../tune/settings.js';
import { bar } from '../../ui/charts/blocks.js';
import { formatCount, formatDuration, NOTHING } from '../../ui/format.js';
import type { Paint } from '../../ui/paint.js';
import { padEnd, truncate } from '../../ui/text.js';

export interface TableContext {
  readonly width: number;
  readonly cores: Cores;
  readonly paint: Paint;
}

export interface TableOptions extends TableContext {
  readonly measurements: readonly Measurement[];
  readonly current?: Setting | null;
  readonly recommended?: Setting | null;
  /** The recommended setting in another precision. */
  readonly comparison?: PrecisionComparison | null;
}

/** Titles of the columns with the least width of the screen at which they are there. */
const COLUMNS = [
  { title: '  threads', from: 0 },
  { title: '  micro_batch', from: 0 },
  { title: '  tokens/s', from: 0 },
  { title: '  spread', from: 60 },
  { title: '  vs 1 thread', from: 50 },
];
const LEAST_BAR = 4;

/** Titles, one line for each setting, and what the signs mean. Lines of at most `width` columns. */
export function tableLines(options: TableOptions): string[] {
  const { measurements, width, paint, cores, comparison } = options;
  const all = comparison == null ? measurements : [...measurements, comparison.other];
  const fastest = Math.max(...all.map(tokensPerSec).filter(Number.isFinite));
  const oneThread = Math.max(
    ...measurements
      .filter(({ setting }) => setting.threads === 1)
      .map(tokensPerSec)
      .filter(Number.isFinite),
  );
  const notes = [
    ...(measurements.some(({ setting }) => setting.threads === cores.usablePhysical)
      ? ['* one thread per physical core']
      : []),
    ...(measurements.some(({ state }) => state === 'dropped') ? ['x too slow, left out early'] : []),
  ];
  return [
    paint(
      'dim',
      columnsFor(width)
        .map(({ title }) => title)
        .join(''),
    ),
    ...measurements.map((measurement) => row(measurement, fastest, oneThread, options)),
    ...(comparison == null ? [] : [comparisonRow(comparison, fastest, options)]),
    ...(notes.length > 0 ? [paint('dim', truncate(`  ${notes.join('   ')}`, width))] : []),
  ];
}

function row(measurement: Measurement, fastest: number, oneThread: number, options: TableOptions): string {
  const { width, cores, paint, current, recommended } = options;
  const { setting, visits, state } = measurement;
  const speed = tokensPerSec(measurement);
  const isRecommended = recommended != null && isSame(setting, recommended);
  const isCurrent = current != null && isSame(setting, current);
  const sign = isRecommended ? '>' : isCurrent ? '·' : state === 'dropped' ? 'x' : ' ';
  const star = setting.threads === cores.usablePhysical ? '*' : ' ';
  const cells: Record<string, string> = {
    '  threads': `${sign} ${`${setting.threads}${star}`.padStart('threads'.length)}`,
    '  micro_batch': String(setting.microBatch),
    '  tokens/s': visits.length === 0 ? NOTHING : formatCount(speed),
    // One visit has no spread.
    '  spread': visits.length < 2 ? NOTHING : `${(relativeSpread(measurement) * 100).toFixed(1)} %`,
    '  vs 1 thread': times(speed, oneThread),
  };
  const figures = joined(cells, width);
  if (state === 'too-large') return truncate(`${figures}not enough memory`, width);
  if (visits.length === 0)
    return isCurrent ? truncate(figures.trimEnd(), width) : paint('dim', truncate(`${figures}not measured`, width));
  const drawn = barBeside(figures, speed / fastest, width);
  if (state === 'dropped') return paint('dim', truncate(figures + drawn, width));
  return truncate(figures, width) + paint(isRecommended ? 'green' : 'cyan', drawn);
}

/** Its name stands where the sign does; against one thread it wasn't measured. */
function comparisonRow({ other, precisions }: PrecisionComparison, fastest: number, options: TableOptions): string {
  const { width, cores, paint } = options;
  const { threads, microBatch } = other.setting;
  const star = threads === cores.usablePhysical ? '*' : ' ';
  const cells: Record<string, string> = {
    '  threads': `${precisions.other}${`${threads}${star}`.padStart('  threads'.length - precisions.other.length)}`,
    '  micro_batch': String(microBatch),
    '  tokens/s': formatCount(tokensPerSec(other)),
    '  spread': other.visits.length < 2 ? NOTHING : `${(relativeSpread(other) * 100).toFixed(1)} %`,
    '  vs 1 thread': NOTHING,
  };
  const figures = joined(cells, width);
  return truncate(figures, width) + paint('cyan', barBeside(figures, tokensPerSec(other) / fastest, width));
}

function joined(cells: Readonly<Record<string, string>>, width: number): string {
  return `${columnsFor(width)
    .map(({ title }) => cells[title].padStart(title.length))
    .join('')}  `;
}

/** In what is left of the width. */
function barBeside(figures: string, share: number, width: number): string {
  const room = Math.max(0, width - figures.length);
  return room >= LEAST_BAR ? bar(Number.isFinite(share) ? share : 0, room) : '';
}

function columnsFor(width: number) {
  return COLUMNS.filter(({ from }) => width >= from);
}

function times(speed: number, oneThread: number): string {
  const ratio = speed / oneThread;
  return Number.isFinite(ratio) && ratio > 0 ? ratio.toFixed(2) : NOTHING;
}

export interface FrameOptions extends TableContext {
  readonly progress: Progress;
  readonly budgetMs: number;
  readonly rows: number;
  readonly head: readonly string[];
}

/** The live picture: exactly what fits on the screen, best settings first to stay when there are more. */
export function frameLines(options: FrameOptions): string[] {
  const { progress, budgetMs, rows, width, paint, head } = options;
  const { measurements, current, round, elapsedMs, afterwards } = progress;
  const doing = afterwards ?? (round > 0 ? `round ${round}` : 'done');
  const time = `${formatDuration(elapsedMs)} of ${formatDuration(budgetMs)}`;
  const done = bar(Math.min(1, elapsedMs / budgetMs), Math.max(0, width - time.length - 14));
  const top = [
    ...head.map((line) => truncate(line, width)),
    `${padEnd(doing, 10)}  ${paint('green', padEnd(done, width - time.length - 14))}  ${time}`,
    '',
  ];
  const room = Math.max(1, rows - top.length - 4);
  const shown = measurements.length > room ? fastestOf(measurements, room) : measurements;
  const rest = measurements.length - shown.length;
  const lines = tableLines({ ...options, measurements: shown, current });
  return [...top, ...lines, ...(rest > 0 ? [paint('dim', `  and ${rest} slower ones`)] : [])].slice(0, rows - 1);
}

/** Those with the highest speeds, in their own order. */
function fastestOf(measurements: readonly Measurement[], count: number): Measurement[] {
  const speed = (measurement: Measurement) => tokensPerSec(measurement) || 0;
  const kept = new Set([...measurements].sort((a, b) => speed(b) - speed(a)).slice(0, count));
  return measurements.filter((measurement) => kept.has(measurement));
}
