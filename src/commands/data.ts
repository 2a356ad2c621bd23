// `gpt-loom data build`: reads facts.jsonl and outside.jsonl, writes train.jsonl, val.jsonl and test.jsonl.

import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import type { SourceFile } from '../data/build-source.js';
import { ConfigError, DataError, FileError } from '../errors.js';
import { makeFolder } from '../folder.js';

export function registerData(program: Command): void {
  const data = program.command('data').description('make the training, validation and test rows');
  data
    .command('build')
    .description('split the facts by wording, add refusals and dialogues, shuffle by the seed')
    .option('--facts <file>', 'what to teach, one JSON object a line', 'data/facts.jsonl')
    .option('--outside <file>', 'questions to refuse (default: outside.jsonl beside the facts)')
    .option('--out <folder>', 'where the three files go (default: the folder of the facts)')
    .option('--seed <n>', 'seed of the split and of the order', '1')
    .option('--json', 'print the counts as JSON')
    .action(buildData);
}

interface BuildOptions {
  readonly facts: string;
  readonly outside?: string;
  readonly out?: string;
  readonly seed: string;
  readonly json?: boolean;
}

async function buildData(options: BuildOptions): Promise<void> {
  const { parseSource, SPLIT_NAMES } = await import('../data/build-source.js');
  const { buildSplits, formatRows } = await import('../data/build.js');
  const seed = parseSeed(options.seed);
  const outsidePath = options.outside ?? join(dirname(options.facts), 'outside.jsonl');
  const source = parseSource(loadSource(options.facts, '--facts'), loadSource(outsidePath, '--outside'));
  const splits = buildSplits(source, seed);
  const folder = options.out ?? dirname(options.facts);
  const files = SPLIT_NAMES.map((name) => ({ path: join(folder, `${name}.jsonl`), rows: splits[name] }));
  saveFiles(
    folder,
    files.map(({ path, rows }) => ({ path, text: formatRows(rows) })),
  );
  const written = files.map(({ path, rows }) => ({ path, rows: rows.length }));
  const counts = { facts: source.facts.length, outside: source.outside.length, seed, files: written };
  process.stdout.write(options.json ? `${JSON.stringify(counts)}\n` : describe(counts));
}

interface Counts {
  readonly facts: number;
  readonly outside: number;
  readonly seed: number;
  readonly files: readonly { readonly path: string; readonly rows: number }[];
}

function describe({ facts, outside, seed, files }: Counts): string {
  const lines = files.map(({ path, rows }) => `  ${path}: ${rows} rows`);
  return `${facts} facts, ${outside} questions outside, seed ${seed}\n${lines.join('\n')}\n`;
}

const MAX_SEED = 2 ** 31 - 1;

function parseSeed(text: string): number {
  const seed = Number(text);
  if (/^\d+$/.test(text) && seed <= MAX_SEED) return seed;
  throw new ConfigError(
    `--seed ${text} is not a seed.\n  Expected a whole number from 0 to ${MAX_SEED}, for example --seed 1.`,
  );
}

function loadSource(path: string, flag: string): SourceFile {
  try {
    return { path, text: new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path)) };
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const reason = REASONS.get(code ?? '') ?? code;
    throw new DataError(`${path} cannot be read: ${reason}.\n  Expected a UTF-8 file; choose it with ${flag} FILE.`, {
      cause,
    });
  }
}

const REASONS = new Map([
  ['ENOENT', 'there is no such file'],
  ['EISDIR', 'it is a folder'],
  ['EACCES', 'permission denied'],
  ['ERR_ENCODING_INVALID_ENCODED_DATA', 'it is not UTF-8'],
]);

/** Writes all files aside first, so that a full disk leaves the old three as they were. */
function saveFiles(folder: string, files: readonly { readonly path: string; readonly text: string }[]): void {
  try {
    makeFolder(folder);
    for (const { path, text } of files) writeFileSync(`${path}.tmp`, text);
    for (const { path } of files) renameSync(`${path}.tmp`, path);
  } catch (cause) {
    for (const { path } of files) if (existsSync(`${path}.tmp`)) rmSync(`${path}.tmp`);
    const reason = (cause as Error).message;
    const fix = 'Choose a folder that can be written to with --out DIR, or make room.';
    throw new FileError(`The data files cannot be written to ${folder}: ${reason}\n  ${fix}`, { cause });
  }
}
