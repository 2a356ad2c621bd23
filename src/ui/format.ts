// Numbers as people read them: few digits, and the same width from one moment to the next so that nothing jumps.

const counts = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** Shown where there is no number yet. */
export const NOTHING = '-';

/** 3,368,192 */
export function formatCount(value: number): string {
  return counts.format(value);
}

/** 3.37M, 12.5k, 840 */
export function formatShort(value: number): string {
  if (value >= 1e9) return `${trimZeros((value / 1e9).toFixed(2))}B`;
  if (value >= 1e6) return `${trimZeros((value / 1e6).toFixed(2))}M`;
  if (value >= 1e4) return `${trimZeros((value / 1e3).toFixed(1))}k`;
  return formatCount(value);
}

/** A loss in nats: six columns up to 99, four decimals where they say something. */
export function formatLoss(value: number | null): string {
  if (value === null) return NOTHING;
  if (!Number.isFinite(value)) return notFinite(value);
  const size = Math.abs(value);
  if (size >= 100) return value.toFixed(1);
  if (size >= 10) return value.toFixed(3);
  return size >= 0.001 || value === 0 ? value.toFixed(4) : value.toExponential(1);
}

/** A gradient norm: five columns up to 999. */
export function formatNorm(value: number): string {
  if (!Number.isFinite(value)) return notFinite(value);
  if (value >= 1000) return formatCount(value);
  if (value >= 100) return value.toFixed(1);
  if (value >= 10) return value.toFixed(2);
  return value >= 0.001 || value === 0 ? value.toFixed(3) : value.toExponential(0);
}

/** A learning rate: 1.50e-4. */
export function formatLearningRate(value: number): string {
  return value.toExponential(2);
}

/** A time that is counted: 1:09, 1:01:09, 2 d 3 h. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const [s, m, h] = [seconds % 60, Math.floor(seconds / 60) % 60, Math.floor(seconds / 3600)];
  if (h >= 48) return `${Math.floor(h / 24)} d ${h % 24} h`;
  return h > 0 ? `${h}:${twoDigits(m)}:${twoDigits(s)}` : `${m}:${twoDigits(s)}`;
}

/** A clock: always 0:01:09. */
export function formatClock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(seconds / 3600)}:${twoDigits(Math.floor(seconds / 60) % 60)}:${twoDigits(seconds % 60)}`;
}

/** A time that is measured: 1.2 ms, 68 ms, 12.3 s. */
export function formatMs(ms: number): string {
  if (ms >= 9950) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 9.95 ? `${formatCount(ms)} ms` : `${ms.toFixed(1)} ms`;
}

/** A share from 0 to 1 as whole percent; 100 % only when it is all. */
export function formatPercent(share: number): string {
  return `${share >= 1 ? 100 : Math.min(99, Math.round(share * 100))} %`;
}

/** `1 worker`, `2 workers`, `4 micro-batches` */
export function formatCounted(count: number, noun: string, plural = 's'): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : plural}`;
}

function notFinite(value: number): string {
  return String(value).replace('Infinity', 'inf');
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

function trimZeros(decimal: string): string {
  return decimal.replace(/\.?0+$/, '');
}
