// JSONL files of questions and answers -> rows. Names every bad row with file, line and reason.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { DataError } from '../errors.js';

export interface Row {
  /** As in the file; see normalisePrompt. */
  readonly prompt: string;
  readonly completion: string;
  /** What the row is about, where the file says so. */
  readonly topic?: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/**
 * All rows, in order. Blank lines, Windows line ends and a byte-order mark are fine. Throws DataError that lists up to 10 bad rows.
 * Files up to 2 GiB; while reading, a file's bytes and its rows are in memory together.
 */
export function loadRows(path: string): Row[] {
  const rows: Row[] = [];
  const problems: string[] = [];
  for (const { bytes, line } of splitLines(readBytes(path))) {
    const result = parseRow(bytes, path, line);
    if (typeof result === 'string') problems.push(`line ${line}: ${result}`);
    else if (result !== null) rows.push(result);
    if (problems.length === MAX_PROBLEMS) break;
  }
  if (problems.length > 0) throw badRows(path, problems);
  if (rows.length === 0) throw new DataError(`${path} has no rows: it is empty.\n  ${EXPECTED_ROW}`);
  return rows;
}

const MAX_PROBLEMS = 10;
/** A sample has at most 16,384 tokens, each a handful of bytes: whatever is longer is no row. */
const MAX_LINE_BYTES = 1 << 20;
const EXPECTED_ROW =
  'Each line must be a JSON object with two texts that are not empty: {"prompt": "什么是词元？", "completion": "…"}';

/** The row, null for a blank line, or what is wrong with it. */
function parseRow(bytes: Uint8Array, file: string, line: number): Row | string | null {
  if (bytes.length > MAX_LINE_BYTES) return `longer than ${MAX_LINE_BYTES >> 20} MB; are the line breaks missing?`;
  const text = decodeUtf8(bytes);
  if (text === null) return 'not UTF-8 text; save the file as UTF-8.';
  if (text.trim() === '') return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `not JSON (${shorten((error as Error).message)}).`;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return `${describe(value)}, not an object.`;
  }
  const { prompt, completion, topic } = value as Record<string, unknown>;
  const problem = textProblem('prompt', prompt) ?? textProblem('completion', completion);
  if (problem !== null) return problem;
  const row = { prompt: prompt as string, completion: completion as string, file, line };
  return typeof topic === 'string' ? { ...row, topic } : row;
}

function textProblem(key: string, value: unknown): string | null {
  if (value === undefined) return `"${key}" is missing.`;
  if (typeof value !== 'string') return `"${key}" is ${describe(value)}, not text.`;
  if (value.trim() === '') return `"${key}" is empty.`;
  if (/\p{Surrogate}/u.test(value)) return `"${key}" holds half a character (an unpaired surrogate such as \\ud83d).`;
  return null;
}

function badRows(path: string, problems: readonly string[]): DataError {
  const first = problems.length === MAX_PROBLEMS ? `the first ${MAX_PROBLEMS} bad rows (there may be more)` : null;
  const title = first ?? (problems.length === 1 ? '1 bad row' : `${problems.length} bad rows`);
  return new DataError([`${path}: ${title}.`, ...problems, EXPECTED_ROW].join('\n  '));
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a${typeof value === 'object' ? 'n' : ''} ${typeof value}`;
}

/** V8 quotes the line in its message: nothing in it may reach the terminal but visible characters. */
function shorten(message: string): string {
  return message.replace(/\p{C}/gu, '?').slice(0, 120);
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}

const LINE_FEED = 0x0a;

/** Line numbers from 1; `bytes` without the line feed, a view of `file`. */
function* splitLines(file: Buffer): Generator<{ bytes: Uint8Array; line: number }> {
  let start = 0;
  for (let line = 1; start < file.length; line++) {
    const lineFeed = file.indexOf(LINE_FEED, start);
    const end = lineFeed < 0 ? file.length : lineFeed;
    yield { bytes: file.subarray(start, end), line };
    start = end + 1;
  }
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw readProblem(path, error);
  }
}

function readProblem(path: string, cause: unknown): DataError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const problem: Record<string, string> = {
    ENOENT: `There is no data file ${path}.\n  Looked for ${resolve(path)}. Set data.train_path and data.val_path in config.yaml to JSONL files.`,
    EISDIR: `${path} is a folder; expected a JSONL file.\n  Pass the file in it, e.g. ${path.replace(/\/+$/, '')}/train.jsonl.`,
    EACCES: `No permission to read the data file ${path}.\n  Make it readable: chmod u+r ${path}`,
  };
  const other = `The data file ${path} cannot be read (${code ?? message}).\n  Pass a JSONL file that can be read.`;
  return new DataError((code !== undefined && problem[code]) || other, { cause });
}
