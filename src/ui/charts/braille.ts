// A line chart of braille dots, 2 by 4 to a character, with single characters marked on it, between two axes.
// Pure strings; the caller says in which style line, marks and axes are painted.

import type { Paint, Style } from '../paint.js';
import { columnTicks, placeOf, type Range, roundRange, rowTicks, type ScaleKind, type Tick } from './scale.js';

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface ChartOptions {
  readonly width: number;
  readonly height: number;
  readonly x: Range;
  readonly scale: ScaleKind;
  /** Ascending in x; drawn as one line. Values that aren't finite are left out. */
  readonly line: readonly Point[];
  /** Ascending in x; each drawn as one character, thinned where they would touch. */
  readonly marks: readonly Point[];
  readonly mark: string;
  readonly lineStyle: Style;
  readonly markStyle: Style;
}

/** Bit of each dot in a braille character (Unicode 2800): by column 0-1, then row 0-3. */
const DOTS = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
];
const BRAILLE = 0x2800;
/** Marks nearer than this many columns to the next are left out. */
const MARK_DISTANCE = 3;
/** Below this height the horizontal axis would take too much of the chart. */
const HEIGHT_FOR_X_AXIS = 6;

/** `height` lines of exactly `width` columns. */
export function drawChart(options: ChartOptions, paint: Paint): string[] {
  const { width, height, scale } = options;
  const hasXAxis = height >= HEIGHT_FOR_X_AXIS;
  const rows = hasXAxis ? height - 2 : height;
  const range = roundRange(
    [...options.line, ...options.marks].map((point) => point.y),
    scale,
  );
  const ticks = rowTicks(range, rows, scale);
  const labelWidth = Math.max(1, ...ticks.map((tick) => tick.label.length));
  const columns = Math.max(1, width - labelWidth - 1);
  const drawing = drawCells(options, range, columns, rows);
  const lines = drawing.cells.map((_, row) => {
    const tick = ticks.find((t) => t.at === row);
    const axis = paint('dim', (tick?.label ?? '').padStart(labelWidth) + (tick ? '┤' : '│'));
    return axis + paintRow(options, drawing, row, paint);
  });
  return hasXAxis ? [...lines, ...drawXAxis(options.x, labelWidth, columns, paint)] : lines;
}

interface Drawing {
  /** (rows, columns) single characters. */
  readonly cells: readonly string[][];
  /** (rows, columns) true where a mark stands. */
  readonly isMark: readonly boolean[][];
}

function drawCells(options: ChartOptions, range: Range, columns: number, rows: number): Drawing {
  const dots = drawDots(options, range, columns, rows);
  const cells = dots.map((row) => row.map((bits) => (bits === 0 ? ' ' : String.fromCharCode(BRAILLE + bits))));
  const isMark = dots.map((row) => row.map(() => false));
  let nextFree = Number.POSITIVE_INFINITY;
  for (const point of [...options.marks].reverse()) {
    if (!Number.isFinite(point.y)) continue;
    const column = dotColumn(point.x, options.x, columns) >> 1;
    if (column > nextFree) continue;
    nextFree = column - MARK_DISTANCE;
    const row = dotRow(point.y, range, options.scale, rows) >> 2;
    cells[row][column] = options.mark;
    isMark[row][column] = true;
  }
  return { cells, isMark };
}

/** One row as text; neighbours of the same style are painted together, for a terminal reads every escape sequence. */
function paintRow(
  { lineStyle, markStyle }: ChartOptions,
  { cells, isMark }: Drawing,
  row: number,
  paint: Paint,
): string {
  const columns = cells[row].length;
  let text = '';
  for (let from = 0, to = 0; from < columns; from = to) {
    while (to < columns && isMark[row][to] === isMark[row][from]) to++;
    text += paint(isMark[row][from] ? markStyle : lineStyle, cells[row].slice(from, to).join(''));
  }
  return text;
}

/** (rows, columns) bits of the braille characters. */
function drawDots(options: ChartOptions, range: Range, columns: number, rows: number): number[][] {
  const dots = Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
  const set = (x: number, y: number) => {
    dots[y >> 2][x >> 1] |= DOTS[x & 1][y & 3];
  };
  let previous: { x: number; y: number } | null = null;
  for (const { x, y } of meanPerDotColumn(options, range, columns, rows)) {
    const from = previous ?? { x, y };
    for (let column = previous ? from.x + 1 : x; column <= x; column++) {
      const share = (column - from.x) / Math.max(1, x - from.x);
      const before = (Math.max(from.x, column - 1) - from.x) / Math.max(1, x - from.x);
      const [a, b] = [from.y + (y - from.y) * before, from.y + (y - from.y) * share].map(Math.round);
      // One dot higher or lower touches already; a longer way is drawn as a vertical stroke.
      for (let row = b; row !== a; row += Math.sign(a - b)) set(column, row);
      if (a === b) set(column, b);
    }
    previous = { x, y };
  }
  return dots;
}

/** The points as dots, at most one per dot column: the mean of those that fall there. */
function meanPerDotColumn(options: ChartOptions, range: Range, columns: number, rows: number): Point[] {
  const means: { x: number; y: number; n: number }[] = [];
  for (const point of options.line) {
    if (!Number.isFinite(point.y)) continue;
    const x = dotColumn(point.x, options.x, columns);
    const y = dotRow(point.y, range, options.scale, rows);
    const last = means.at(-1);
    if (last?.x === x) {
      last.n++;
      last.y += (y - last.y) / last.n;
    } else {
      means.push({ x, y, n: 1 });
    }
  }
  return means.map(({ x, y }) => ({ x, y: Math.round(y) }));
}

function dotColumn(x: number, range: Range, columns: number): number {
  return Math.round(placeOf(x, range, 'linear') * (columns * 2 - 1));
}

function dotRow(y: number, range: Range, scale: ScaleKind, rows: number): number {
  return Math.round((1 - placeOf(y, range, scale)) * (rows * 4 - 1));
}

function drawXAxis(range: Range, labelWidth: number, columns: number, paint: Paint): string[] {
  const ticks = columnTicks(range, columns);
  const axis = Array.from({ length: columns }, (_, column) => (ticks.some((t) => t.at === column) ? '┬' : '─'));
  const margin = ' '.repeat(labelWidth);
  return [paint('dim', `${margin}└${axis.join('')}`), paint('dim', `${margin} ${placeLabels(ticks, columns)}`)];
}

/** Each label centred under its tick, moved inwards at the edges. */
function placeLabels(ticks: readonly Tick[], columns: number): string {
  let line = '';
  for (const { at, label } of ticks) {
    const start = Math.min(columns - label.length, Math.max(0, at - (label.length >> 1)));
    if (start < line.length + (line === '' ? 0 : 1)) continue;
    line = line.padEnd(start) + label;
  }
  return line.padEnd(columns);
}
