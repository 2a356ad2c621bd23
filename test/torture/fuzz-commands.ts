// Mutated files through the command line, several processes at once: each ends by itself within a second, with a known code and
// no stack trace.

import { copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { runCliTimed } from '../helpers/cli.js';
import { LONGEST_MS, type Mutant, mutants, type Seeds, STATE, type Target, TRIES } from './fuzz.js';

export interface FuzzedCommands {
  readonly slowestMs: number;
  /** Took longer than a second by the clock, less of the processor's time. */
  readonly judgedByCpu: number;
  /** By exit code. */
  readonly codes: ReadonlyMap<number, number>;
}

/** Ten others at work, and still nothing that hangs. */
const LONGEST_BUSY_MS = 20_000;

const COPIED = ['config.yaml', 'train.jsonl', 'val.jsonl', 'tokenizer.json'];
const TEXT = '天空 (a+)+$ aaaaaaaaaaaaaaaaaaaaaaaaaaaa';

/** Everything is read and checked, then the save folder turns out to be a file: a good mutant takes no longer than a bad one. */
const ALL_BUT_TRAIN = ['train', '--save-dir', 'tokenizer.json', '--json'];
const INSPECT = ['tokenizer', 'inspect', '--json', TEXT];

const COMMANDS: Record<Target, (mutant: Mutant) => readonly (readonly string[])[]> = {
  checkpoint: ({ file }) => [
    file === STATE
      ? ['train', '--save-dir', 'run', '--json', '--max-steps', '3', '--resume', '--no-acceptance']
      : ['infer', '--ckpt', 'run/last', '--prompt', '天空', '--max-new-tokens', '2', '--json'],
  ],
  tokenizer: () => [INSPECT, ALL_BUT_TRAIN],
  config: () => [ALL_BUT_TRAIN, INSPECT],
  rows: ({ file }) => [ALL_BUT_TRAIN, ['tokenizer', 'build', '--json', '--data', file, '--out', 'built.json']],
};

/** Gives `count` mutants to the command line. Throws at the first that is too slow, or ends in another way than it should. */
export async function fuzzCommands(target: Target, count: number, seed: number, seeds: Seeds): Promise<FuzzedCommands> {
  const queue = fc.sample(mutants(target, seeds), { numRuns: count, seed }).entries();
  const codes = new Map<number, number>();
  let slowestMs = 0;
  let judgedByCpu = 0;
  const lane = async (_: unknown, number: number) => {
    const folder = join(seeds.project, `commands-${target}-${number}`);
    mkdirSync(folder);
    for (const [i, mutant] of queue) {
      const choices = COMMANDS[target](mutant);
      const args = choices[i % choices.length];
      const result = await give(mutant, args, folder, seeds).catch((error: Error) => {
        throw new Error(`${target} mutant ${i} of seed ${seed} (${mutant.file}), ${args.join(' ')}: ${error.message}`);
      });
      slowestMs = Math.max(slowestMs, result.ms);
      if (result.isJudgedByCpu) judgedByCpu++;
      codes.set(result.exitCode, (codes.get(result.exitCode) ?? 0) + 1);
    }
    rmSync(folder, { recursive: true });
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
  return { slowestMs, judgedByCpu, codes };
}

/**
 * Within a second by the clock; while other programs have the processors, within a second of processor time, with the clock as a
 * check that it doesn't wait for something either. Even processor time grows on a busy machine: the best of a few tries counts.
 */
async function give({ file, content }: Mutant, args: readonly string[], folder: string, seeds: Seeds) {
  const times: string[] = [];
  while (times.length < TRIES) {
    prepare(folder, seeds);
    writeFileSync(join(folder, file.startsWith('last/') ? join('run', file) : file), content);
    const started = performance.now();
    const { exitCode, stderr, cpuMs } = await runCliTimed(args, { cwd: folder });
    const ms = performance.now() - started;
    if (exitCode !== 0 && exitCode !== 2) throw new Error(`exit code ${exitCode}: ${stderr}`);
    if (/\n\s+at .+:\d+:\d+/.test(stderr)) throw new Error(`a stack trace: ${stderr}`);
    if (ms < LONGEST_MS) return { ms, exitCode, isJudgedByCpu: false };
    if (cpuMs < LONGEST_MS && ms < LONGEST_BUSY_MS) return { ms: cpuMs, exitCode, isJudgedByCpu: true };
    times.push(`${Math.round(ms)} ms with ${Math.round(cpuMs)} ms of processor time`);
  }
  throw new Error(`took ${times.join(', ')}`);
}

function prepare(folder: string, { project, saveDir }: Seeds): void {
  for (const name of COPIED) copyFileSync(join(project, name), join(folder, name));
  cpSync(saveDir, join(folder, 'run'), { recursive: true });
}
