// Values at which an axis gets a label, and how they are written.

/**
 * 1, 2 and 5 times the powers of ten in the range, thinned to at most `most`; round numbers at equal distances where the range
 * is so short that it has fewer than three of those.
 */
export function logTicks(min: number, max: number, most = 11): number[] {
  for (const factors of [[1, 2, 5], [1]]) {
    for (const every of [1, 2, 4, 8]) {
      if (factors.length > 1 && every > 1) continue;
      const ticks = powers(min, max, every).flatMap((power) => factors.map((factor) => tidy(factor * 10 ** power)));
      const inside = ticks.filter((value) => value >= min * (1 - 1e-9) && value <= max * (1 + 1e-9));
      if (inside.length >= 3 && inside.length <= most) return inside;
    }
  }
  return evenTicks(min, max);
}

/** 0.05, 2, 1e-5: as short as it stays exact. */
export function formatTick(value: number): string {
  const size = Math.abs(value);
  return size >= 0.001 || size === 0 ? String(tidy(value)) : tidy(value).toExponential().replace('e+', 'e');
}

/** 12,500 */
export function formatCountTick(value: number): string {
  return tidy(value).toLocaleString('en-US');
}

/** Four to ten of them. */
function evenTicks(min: number, max: number): number[] {
  const rough = (max - min) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([5, 2, 1].find((factor) => factor * power <= rough * (1 + 1e-9)) ?? 1) * power;
  const first = Math.ceil(min / step - 1e-9);
  const count = Math.floor(max / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, i) => tidy((first + i) * step));
}

function powers(min: number, max: number, every: number): number[] {
  const first = Math.floor(Math.log10(min));
  const last = Math.ceil(Math.log10(max));
  const all = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  return all.filter((power) => power % every === 0);
}

/** 0.30000000000000004 -> 0.3 */
function tidy(value: number): number {
  return Number(value.toPrecision(6));
}
