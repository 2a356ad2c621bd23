// Bars and sparklines out of block characters, an eighth of a cell at a time. Pure strings without colour.

/** Left to right, 1/8 to 8/8 of a cell. */
const WIDTHS = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
/** Bottom to top, 1/8 to 8/8 of a cell. */
const HEIGHTS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** The filled part of a bar for a share of 0 to 1 of `width` columns; at least a sliver when the share isn't 0. */
export function bar(share: number, width: number): string {
  const clamped = Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0));
  const eighths = Math.max(clamped > 0 ? 1 : 0, Math.round(clamped * width * 8));
  const whole = Math.floor(eighths / 8);
  return '█'.repeat(whole) + (eighths % 8 === 0 ? '' : WIDTHS[(eighths % 8) - 1]);
}

/** One column per value, from 0 at the bottom to `max` (default: the largest value) at the top. */
export function sparkline(values: readonly number[], max = Math.max(0, ...values)): string {
  return values
    .map((value) => HEIGHTS[Math.min(7, Math.max(0, Math.ceil((max > 0 ? value / max : 0) * 8) - 1))])
    .join('');
}

/** Columns for each share of a whole that is `width` wide; their sum is exactly `width` when the shares add up to 1. */
export function splitColumns(shares: readonly number[], width: number): number[] {
  let sum = 0;
  let used = 0;
  return shares.map((share) => {
    sum += share;
    const columns = Math.max(0, Math.min(width, Math.round(sum * width)) - used);
    used += columns;
    return columns;
  });
}
