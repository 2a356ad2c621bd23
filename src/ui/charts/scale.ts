// Axes: ranges that end on round numbers, so that they rarely change, and the ticks that fit on them.

export type ScaleKind = 'log' | 'linear';

export interface Range {
  readonly min: number;
  readonly max: number;
}

export interface Tick {
  /** Row or column of the chart, from 0. */
  readonly at: number;
  readonly label: string;
}

/** A logarithm can't show less. */
const SMALLEST = 1e-9;
const ROUND = [1, 2, 5, 10];

/** Round bounds around all finite values. Linear ranges start at 0 (or below). */
export function roundRange(values: readonly number[], kind: ScaleKind): Range {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return { min: kind === 'log' ? 0.1 : 0, max: 10 };
  if (kind === 'log') {
    const min = roundDown(Math.max(SMALLEST, low));
    return { min, max: Math.max(roundUp(Math.max(SMALLEST, high)), min * 2) };
  }
  const step = roundUp((Math.max(high, high - low) || 1) / 8);
  return { min: Math.min(0, Math.floor(low / step) * step), max: Math.max(Math.ceil(high / step) * step, step) };
}

/** Place of a value in the range, 0 at min and 1 at max, clamped. */
export function placeOf(value: number, range: Range, kind: ScaleKind): number {
  const map = (x: number) => (kind === 'log' ? Math.log(Math.max(SMALLEST, x)) : x);
  const span = map(range.max) - map(range.min);
  return Math.min(1, Math.max(0, span > 0 ? (map(value) - map(range.min)) / span : 0));
}

/** Ticks for a vertical axis of `rows` rows, row 0 at the top: as many as leave a free row between two. */
export function rowTicks(range: Range, rows: number, kind: ScaleKind): Tick[] {
  const gap = rows > 4 ? 2 : 1;
  for (const values of kind === 'log' ? logCandidates(range) : linearCandidates(range)) {
    const ticks = values.map((value) => ({
      at: Math.round((1 - placeOf(value, range, kind)) * (rows * 4 - 1)) >> 2,
      label: tickLabel(value, range),
    }));
    if (ticks.every((tick, i) => i === 0 || ticks[i - 1].at - tick.at >= gap)) return ticks;
  }
  return [];
}

/** Ticks for a horizontal axis of `columns` columns over whole numbers. */
export function columnTicks(range: Range, columns: number): Tick[] {
  const span = Math.max(1, range.max - range.min);
  for (let step = Math.max(1, roundUp(span / columns)); ; step = roundUp(step * 1.5)) {
    const ticks: Tick[] = [];
    for (let value = Math.ceil(range.min / step) * step; value <= range.max; value += step) {
      const at = Math.round(((value - range.min) / span) * (columns - 1));
      ticks.push({ at, label: stepLabel(value) });
    }
    const room = (ticks.at(-1)?.label.length ?? 0) + 3;
    if (ticks.length < 2 || ticks[1].at - ticks[0].at >= room) return ticks;
  }
}

/** The largest 1, 2 or 5 times a power of ten that isn't above the value. */
function roundDown(value: number): number {
  const power = powerOfTen(value);
  const factor = ROUND.filter((f) => f * power <= value * (1 + 1e-9)).at(-1) ?? 1;
  return clearRounding(factor * power);
}

/** The smallest 1, 2 or 5 times a power of ten that isn't below the value. */
function roundUp(value: number): number {
  const power = powerOfTen(value);
  const factor = ROUND.find((f) => f * power >= value * (1 - 1e-9)) ?? 10;
  return clearRounding(factor * power);
}

function powerOfTen(value: number): number {
  return 10 ** Math.floor(Math.log10(value) + 1e-12);
}

/** 0.30000000000000004 -> 0.3 */
function clearRounding(value: number): number {
  return Number(value.toPrecision(12));
}

/** Ever sparser lists, ascending: 1-2-5, then 1-5... down to every fourth power of ten, then the two ends. */
function* logCandidates(range: Range): Generator<number[]> {
  const first = Math.floor(Math.log10(range.min) + 1e-12);
  const last = Math.ceil(Math.log10(range.max) - 1e-12);
  const within = (value: number) => value >= range.min * (1 - 1e-9) && value <= range.max * (1 + 1e-9);
  for (const [factors, every] of [
    [[1, 2, 5], 1],
    [[1], 1],
    [[1], 2],
    [[1], 4],
  ] as const) {
    const values: number[] = [];
    for (let power = first; power <= last; power++) {
      if (((power % every) + every) % every !== 0) continue;
      for (const factor of factors) values.push(clearRounding(factor * 10 ** power));
    }
    const fitting = values.filter(within);
    if (fitting.length >= 2) yield fitting;
  }
  yield [range.min, range.max];
}

function* linearCandidates(range: Range): Generator<number[]> {
  const span = range.max - range.min;
  for (let step = roundUp(span / 10); step < span; step = roundUp(step * 1.5)) {
    const count = Math.floor(span / step + 1e-9);
    yield Array.from({ length: count + 1 }, (_, i) => clearRounding(range.min + i * step));
  }
  yield [range.min, range.max];
}

function tickLabel(value: number, range: Range): string {
  const size = Math.abs(value);
  if (range.max >= 10_000 && size > 0) return `${clearRounding(value / 1000)}k`;
  return size >= 0.001 || size === 0 ? String(value) : value.toExponential(0);
}

function stepLabel(value: number): string {
  if (value >= 1_000_000) return `${clearRounding(value / 1_000_000)}M`;
  return value >= 10_000 ? `${clearRounding(value / 1000)}k` : String(value);
}
