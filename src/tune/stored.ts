// The result of a tuning, kept in the user's cache for the machine it was measured on: what `threads: auto` goes by there.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { describeEngine, type EngineSelection } from '../engine/select.js';
import { FileError } from '../errors.js';
import { makeFolder } from '../folder.js';
import { countCores } from '../machine/cores.js';
import { cpuModel } from '../machine/cpu.js';

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

const RESULT = z.object({
  machine: MACHINE,
  threads: z.int().min(1).max(256),
  micro_batch: z.int().min(1),
  tokens_per_sec: z.number(),
  measured_at: z.string(),
});

const FILE = z.object({ format: z.literal(FORMAT), results: z.array(RESULT) });

export type Machine = z.output<typeof MACHINE>;
export type TuneResult = z.output<typeof RESULT>;

/** All that a result depends on besides model and data. */
export function thisMachineWith(selection: EngineSelection): Machine {
  const { name: engine, detail } = describeEngine(selection);
  const { physical, logical, usablePhysical, usableLogical } = countCores();
  return {
    cpu: cpuModel(),
    physical,
    logical,
    usable_physical: usablePhysical,
    usable_logical: usableLogical,
    engine,
    detail,
    precision: selection.precision,
  };
}

/** `$XDG_CACHE_HOME/gpt-loom/tune.json`, by default below `~/.cache`. https://specifications.freedesktop.org/basedir-spec */
export function tuneResultPath(env: NodeJS.ProcessEnv = process.env): string {
  const { XDG_CACHE_HOME: cache } = env;
  const base = cache !== undefined && isAbsolute(cache) ? cache : join(homedir(), '.cache');
  return join(base, 'gpt-loom', 'tune.json');
}

/** The result for this machine, or null: a cache that isn't there, or can't be read, holds none. */
export function loadTuneResult(machine: Machine, path = tuneResultPath()): TuneResult | null {
  return readResults(path).find((result) => isSameMachine(result.machine, machine)) ?? null;
}

/** Adds the result, or replaces the one for the same machine; a home folder may be shared by several. Throws FileError. */
export function saveTuneResult(result: TuneResult, path = tuneResultPath()): void {
  const others = readResults(path).filter(({ machine }) => !isSameMachine(machine, result.machine));
  const text = `${JSON.stringify({ format: FORMAT, results: [...others, result] }, null, 2)}\n`;
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

function readResults(path: string): TuneResult[] {
  try {
    const parsed = FILE.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    return parsed.success ? parsed.data.results : [];
  } catch {
    return [];
  }
}

function isSameMachine(a: Machine, b: Machine): boolean {
  return (Object.keys(MACHINE.shape) as (keyof Machine)[]).every((key) => a[key] === b[key]);
}
