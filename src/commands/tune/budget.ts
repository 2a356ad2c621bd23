// `--budget 60s` -> milliseconds.

import { ConfigError } from '../../errors.js';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const LEAST_MS = 1000;
const MOST_MS = 24 * 3_600_000;

/** A number without a unit means seconds. Throws ConfigError. */
export function parseBudget(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/.exec(text.trim()) ?? [];
  const ms = Number(number) * UNIT_MS[unit];
  if (ms >= LEAST_MS && ms <= MOST_MS) return ms;
  throw new ConfigError(
    `--budget ${text} is not a time to measure for.\n` +
      '  Expected a number with its unit, from 1s to 24h, for example --budget 60s or --budget 2m.',
  );
}
