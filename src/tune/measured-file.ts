// One file in the user's cache for everything that was measured on this machine: what `tune` found best, what `bench` found to
// be the peak. A home folder may be shared by several machines, so each entry names its own.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { FileError } from '../errors.js';
import { makeFolder } from '../folder.js';

const FORMAT = 1;

const MACHINE = z.object({
  cpu: z.string(),
  physical: z.int(),
  logical: z.int(),
  /** What this process may use of them: a container may be allowed less. */
  usable_physical: z.int(),
  usable_logical: z.int(),
  engine: z.string(),
  /** Instruction set or backend. */
  detail: z.string(),
  precision: z.string(),
});

const TUNE_RESULT = z.object({
  machine: MACHINE,
  threads: z.int().min(1).max(256),
  micro_batch: z.int().min(1),
  tokens_per_sec: z.number(),
  measured_at: z.string(),
});

/** Of one core, so that the number of cores in use plays no part. */
const PEAK = z.object({
  cpu: z.string(),
  /** Instruction set of the native engine. */
  isa: z.string(),
  fp32_gflops: z.number().positive(),
  /** Null where the core or the program has no such instructions. */
  bf16_gflops: z.number().positive().nullable(),
  measured_at: z.string(),
});

const FILE = z.object({
  format: z.literal(FORMAT),
  results: z.array(TUNE_RESULT).default([]),
  peaks: z.array(PEAK).default([]),
});

export type Machine = z.output<typeof MACHINE>;
export type TuneResult = z.output<typeof TUNE_RESULT>;
export type StoredPeak = z.output<typeof PEAK>;
export type Measured = Pick<z.output<typeof FILE>, 'results' | 'peaks'>;

/** `$XDG_CACHE_HOME/gpt-loom/measured.json`, by default below `~/.cache`. https://specifications.freedesktop.org/basedir-spec */
export function measuredPath(env: NodeJS.ProcessEnv = process.env): string {
  const { XDG_CACHE_HOME: cache } = env;
  const base = cache !== undefined && isAbsolute(cache) ? cache : join(homedir(), '.cache');
  return join(base, 'gpt-loom', 'measured.json');
}

/** A file that isn't there, or can't be read, holds nothing. */
export function readMeasured(path: string): Measured {
  try {
    const parsed = FILE.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    if (parsed.success) return parsed.data;
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
  return (Object.keys(MACHINE.shape) as (keyof Machine)[]).every((key) => a[key] === b[key]);
}
