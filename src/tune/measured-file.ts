// One file in the user's cache for everything that was measured on this machine: what `tune` found best, what `bench` found to
// be the peak. A home folder may be shared by several machines, so each entry names its own.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import * as v from 'valibot';
import { FileError } from '../errors.js';
import { makeFolder } from '../folder.js';

const FORMAT = 1;

const WHOLE = v.pipe(v.number(), v.safeInteger());
const FINITE = v.pipe(v.number(), v.finite());
const POSITIVE = v.pipe(FINITE, v.gtValue(0));

const MACHINE = v.object({
  cpu: v.string(),
  physical: WHOLE,
  logical: WHOLE,
  /** What this process may use of them: a container may be allowed less. */
  usable_physical: WHOLE,
  usable_logical: WHOLE,
  engine: v.string(),
  /** Instruction set or backend. */
  detail: v.string(),
  precision: v.string(),
});

const TUNE_RESULT = v.object({
  machine: MACHINE,
  threads: v.pipe(WHOLE, v.minValue(1), v.maxValue(256)),
  micro_batch: v.pipe(WHOLE, v.minValue(1)),
  tokens_per_sec: FINITE,
  measured_at: v.string(),
});

/** Of one core, so that the number of cores in use plays no part. */
const PEAK = v.object({
  cpu: v.string(),
  /** Instruction set of the native engine. */
  isa: v.string(),
  fp32_gflops: POSITIVE,
  /** Null where the core or the program has no such instructions. */
  bf16_gflops: v.nullable(POSITIVE),
  measured_at: v.string(),
});

const FILE = v.object({
  format: v.literal(FORMAT),
  results: v.optional(v.array(TUNE_RESULT), []),
  peaks: v.optional(v.array(PEAK), []),
});

export type Machine = v.InferOutput<typeof MACHINE>;
export type TuneResult = v.InferOutput<typeof TUNE_RESULT>;
export type StoredPeak = v.InferOutput<typeof PEAK>;
export type Measured = Pick<v.InferOutput<typeof FILE>, 'results' | 'peaks'>;

/** `$XDG_CACHE_HOME/gpt-loom/measured.json`, by default below `~/.cache`. https://specifications.freedesktop.org/basedir-spec */
export function measuredPath(env: NodeJS.ProcessEnv = process.env): string {
  const { XDG_CACHE_HOME: cache } = env;
  const base = cache !== undefined && isAbsolute(cache) ? cache : join(homedir(), '.cache');
  return join(base, 'gpt-loom', 'measured.json');
}

/** A file that isn't there, or can't be read, holds nothing. */
export function readMeasured(path: string): Measured {
  try {
    const parsed = v.safeParse(FILE, JSON.parse(readFileSync(path, 'utf8')));
    if (parsed.success) return parsed.output;
  } catch {
    // Damaged: as good as none.
  }
  return { results: [], peaks: [] };
}

/** Replaces the file as a whole. Throws FileError. */
export function writeMeasured({ results, peaks }: Measured, path: string): void {
  const text = `${JSON.stringify({ format: FORMAT, results, peaks }, null, 2)}\n`;
  try {
    makeFolder(dirname(path));
    const aside = `${path}.${process.pid}.tmp`;
    writeFileSync(aside, text);
    renameSync(aside, path);
  } catch (cause) {
    throw new FileError(
      `The result can't be kept in ${path}: ${(cause as Error).message}.\n` +
        '  Make that folder writable, or set XDG_CACHE_HOME to one that is.',
      { cause },
    );
  }
}

export function isSameMachine(a: Machine, b: Machine): boolean {
  return (Object.keys(MACHINE.entries) as (keyof Machine)[]).every((key) => a[key] === b[key]);
}
