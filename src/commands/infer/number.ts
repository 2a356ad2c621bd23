// A number on the command line: what it may be, and the error when it isn't.

import { ConfigError } from '../../errors.js';

export interface NumberRule {
  readonly flag: string;
  readonly isInteger?: boolean;
  /** Lowest value; or `above`, which isn't itself allowed. */
  readonly min?: number;
  readonly above?: number;
  readonly max?: number;
  /** What the values mean, a sentence. */
  readonly advice: string;
  readonly example: string;
}

/** Plain decimal notation; `1e-3` too. Not what Number() takes besides: empty text, blanks, 0x10, Infinity. */
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** Throws ConfigError that names flag, value and range. */
export function parseNumber(text: string, rule: NumberRule): number {
  const value = DECIMAL.test(text) ? Number(text) : Number.NaN;
  if (isAllowed(value, rule)) return value;
  throw new ConfigError(
    `${rule.flag} is "${text}".\n  Expected ${describe(rule)}. ${rule.advice}\n  For example: ${rule.flag} ${rule.example}`,
  );
}

function isAllowed(value: number, { isInteger, min, above, max }: NumberRule): boolean {
  if (isInteger ? !Number.isSafeInteger(value) : !Number.isFinite(value)) return false;
  return (
    !(min !== undefined && value < min) &&
    !(above !== undefined && value <= above) &&
    !(max !== undefined && value > max)
  );
}

function describe({ isInteger, min, above, max }: NumberRule): string {
  const kind = isInteger ? 'an integer' : 'a number';
  const low = above === undefined ? `of at least ${min}` : `above ${above}`;
  return max === undefined ? `${kind} ${low}` : `${kind} ${low} and at most ${max}`;
}
