// Reads JSON objects from files that may be damaged or hostile: every field is asked for by name and checked.

import { CheckpointError } from '../errors.js';

export type JsonObject = Readonly<Record<string, unknown>>;

/** What is wrong with a file, in the three parts of an error. `file` is its path; `problem` a clause such as `"step" is missing`. */
export function damaged(file: string, problem: string, cause?: unknown): CheckpointError {
  return new CheckpointError(
    `${file} is damaged or not what its name says: ${problem}.\n  Use another checkpoint, or train this one again.`,
    { cause },
  );
}

/** The value as JSON text; refuses numbers that JSON would silently turn into null. */
export function toJson(value: unknown, refuse: (key: string, number: number) => Error): string {
  const checked = (key: string, item: unknown) => {
    if (typeof item === 'number' && !Number.isFinite(item)) throw refuse(key, item);
    return item;
  };
  return `${JSON.stringify(value, checked, 2)}\n`;
}

/** Throws CheckpointError unless the text is one JSON object. */
export function parseJsonObject(text: string, file: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(file, 'it is not JSON', cause);
  }
  if (!isObject(value)) throw damaged(file, `an object {…} was expected, ${describe(value)} found`);
  return value;
}

export function objectField(object: JsonObject, key: string, file: string): JsonObject {
  const value = field(object, key, file);
  if (!isObject(value)) throw mismatch(file, key, 'an object', value);
  return value;
}

/** A safe integer from `least` up. */
export function integerField(object: JsonObject, key: string, least: number, file: string): number {
  const value = field(object, key, file);
  if (!Number.isSafeInteger(value) || (value as number) < least) {
    throw mismatch(file, key, `an integer from ${least} up`, value);
  }
  return value as number;
}

export function numberOrNullField(object: JsonObject, key: string, file: string): number | null {
  const value = field(object, key, file);
  if (value !== null && !Number.isFinite(value)) throw mismatch(file, key, 'a finite number or null', value);
  return value as number | null;
}

export function textField(object: JsonObject, key: string, file: string): string {
  const value = field(object, key, file);
  if (typeof value !== 'string') throw mismatch(file, key, 'a text', value);
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value from a file in a few printable characters, fit for a terminal. */
export function describe(value: unknown): string {
  if (Array.isArray(value)) {
    const isFlat = value.length <= 8 && !value.some((item) => typeof item === 'object');
    return isFlat ? `[${value.map(describe).join(', ')}]` : `a list of ${value.length}`;
  }
  if (isObject(value)) return 'an object';
  const text = JSON.stringify(value) ?? String(value);
  // JSON escapes C0 controls only; C1 controls and reordering marks would still reach the terminal.
  const printable = text.replace(/[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g, '?');
  return printable.length > 80 ? `${printable.slice(0, 79)}…` : printable;
}

/** Only the object's own keys count: `__proto__` in a file is a key like any other. */
function field(object: JsonObject, key: string, file: string): unknown {
  if (!Object.hasOwn(object, key)) throw damaged(file, `"${key}" is missing`);
  return object[key];
}

function mismatch(file: string, key: string, expected: string, value: unknown): CheckpointError {
  return damaged(file, `"${key}" is ${describe(value)}, expected ${expected}`);
}
