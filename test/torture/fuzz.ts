// Mutated checkpoints, tokenizers, configurations and data: each is read or refused with an error of ours, soon, and leaves
// nothing behind in the process.

import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parseInfo } from '../../src/checkpoint/info.js';
import { loadCheckpoint, loadTraining } from '../../src/checkpoint/load.js';
import { parseSafetensors } from '../../src/checkpoint/safetensors.js';
import { parseState } from '../../src/checkpoint/training-state.js';
import { loadConfig } from '../../src/config/load.js';
import { loadRows } from '../../src/data/jsonl.js';
import { LoomError } from '../../src/errors.js';
import { parseTokenizer } from '../../src/tokenizer/tokenizer.js';
import { runCli } from '../helpers/cli.js';
import { byteMutations, mutateBytes, mutateJson, valueMutations } from './mutations.js';

export interface Seeds {
  /** A folder of createProject in which a run has ended. */
  readonly project: string;
  /** The run's folder in it. */
  readonly saveDir: string;
}

export const TARGETS = ['checkpoint', 'tokenizer', 'config', 'rows'] as const;
export type Target = (typeof TARGETS)[number];

const LONGEST_MS = 1000;
const MODEL = 'last/model.safetensors';
const STATE = 'last/training/state.json';
const INFO = 'last/config.json';

interface Mutant {
  /** From the project, or from the run's folder. */
  readonly file: string;
  readonly content: Uint8Array | string;
}

const FILES: Record<Target, readonly string[]> = {
  checkpoint: [MODEL, MODEL, INFO, STATE],
  tokenizer: ['tokenizer.json'],
  config: ['config.yaml'],
  rows: ['train.jsonl'],
};

/** Reads `count` mutants in this process. Throws at the first that crashes, takes longer than a second, or pollutes. */
export async function fuzzInProcess(target: Target, count: number, seed: number, seeds: Seeds): Promise<void> {
  const scratch = join(seeds.project, `fuzz-${target}`);
  mkdirSync(scratch, { recursive: true });
  await fc.assert(
    fc.property(mutants(target, seeds), (mutant) => {
      const started = performance.now();
      try {
        read(mutant, scratch);
      } catch (error) {
        if (!(error instanceof LoomError)) throw error;
        if (error.message.length > 4000) throw new Error(`a message of ${error.message.length} characters`);
      }
      const ms = performance.now() - started;
      if (ms > LONGEST_MS) throw new Error(`${ms} ms`);
      if (Object.keys(Object.prototype).length > 0) throw new Error('Object.prototype was changed');
    }),
    { numRuns: count, seed },
  );
}

/**
 * Gives `count` mutants to the command line: it ends by itself, with a known code and no stack trace. Returns the longest time in
 * ms, which isn't judged: a mutant that is good enough to be trained on takes as long as a training.
 */
export async function fuzzCommands(target: Target, count: number, seed: number, seeds: Seeds): Promise<number> {
  let slowestMs = 0;
  const drawn = fc.sample(mutants(target, seeds), { numRuns: count, seed });
  const folder = join(seeds.project, `commands-${target}`);
  for (const [i, { file, content }] of drawn.entries()) {
    cpSync(seeds.saveDir, join(folder, 'run'), { recursive: true });
    for (const name of ['config.yaml', 'train.jsonl', 'val.jsonl', 'tokenizer.json']) {
      copyFileSync(join(seeds.project, name), join(folder, name));
    }
    writeFileSync(join(folder, file.startsWith('last/') ? join('run', file) : file), content);
    const args =
      target === 'checkpoint' && file !== STATE
        ? ['infer', '--ckpt', 'run/last', '--prompt', '天空', '--max-new-tokens', '2', '--json']
        : ['train', '--save-dir', 'run', '--json', '--max-steps', '3', ...(file === STATE ? ['--resume'] : [])];
    const started = performance.now();
    const { exitCode, stderr } = await runCli(args, { cwd: folder });
    const ms = performance.now() - started;
    slowestMs = Math.max(slowestMs, ms);
    const where = `${target} mutant ${i} of seed ${seed} (${file})`;
    if (exitCode === null || ![0, 2].includes(exitCode)) throw new Error(`${where}: exit code ${exitCode}: ${stderr}`);
    if (/\n\s+at .+:\d+:\d+/.test(stderr)) throw new Error(`${where}: a stack trace: ${stderr}`);
  }
  return slowestMs;
}

/** The whole folder through the loaders that commands use, which also compare the files with each other. */
export async function fuzzFolders(count: number, seed: number, seeds: Seeds): Promise<void> {
  const folder = join(seeds.project, 'fuzz-folder');
  await fc.assert(
    fc.asyncProperty(mutants('checkpoint', seeds), async ({ file, content }) => {
      cpSync(join(seeds.saveDir, 'last'), join(folder, 'last'), { recursive: true });
      writeFileSync(join(folder, file), content);
      for (const load of [loadCheckpoint, loadTraining]) {
        await load(join(folder, 'last')).catch((error: unknown) => {
          if (!(error instanceof LoomError)) throw error;
        });
      }
    }),
    { numRuns: count, seed },
  );
}

function mutants(target: Target, { project, saveDir }: Seeds): fc.Arbitrary<Mutant> {
  return fc.constantFrom(...FILES[target]).chain((file) => {
    const bytes = readFileSync(join(file.startsWith('last/') ? saveDir : project, file));
    const byByte = byteMutations.map((mutations): Mutant => ({ file, content: mutateBytes(bytes, mutations) }));
    if (file === 'config.yaml') return byByte;
    const byValue = valueMutations.map(
      (mutations): Mutant => ({ file, content: mutateValues(file, bytes, mutations) }),
    );
    return fc.oneof(byByte, byValue);
  });
}

function mutateValues(file: string, bytes: Buffer, mutations: Parameters<typeof mutateJson>[1]): Uint8Array | string {
  if (file.endsWith('.json')) return mutateJson(bytes.toString(), mutations);
  if (file.endsWith('.jsonl')) {
    const rows = JSON.stringify(
      bytes
        .toString()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    );
    const mutated = JSON.parse(mutateJson(rows, mutations) || 'null');
    return (Array.isArray(mutated) ? mutated : [mutated]).map((row) => JSON.stringify(row)).join('\n');
  }
  // safetensors: the header's values, and its length put right again, so that the reader gets past it.
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = Buffer.from(mutateJson(bytes.toString('utf8', 8, 8 + headerBytes), mutations));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, bytes.subarray(8 + headerBytes)]);
}

function read({ file, content }: Mutant, scratch: string): void {
  const text = typeof content === 'string' ? content : Buffer.from(content).toString();
  if (file === MODEL) parseSafetensors(Buffer.from(content), file);
  else if (file === INFO) parseInfo(text, file);
  else if (file === STATE) parseState(text, file);
  else if (file === 'tokenizer.json')
    parseTokenizer(text, file).encode('天空 (a+)+$ aaaaaaaaaaaaaaaaaaaaaaaaaaaa', { special: true });
  else {
    const path = join(scratch, file);
    writeFileSync(path, content);
    if (file === 'config.yaml') loadConfig({ configPath: path });
    else loadRows(path);
  }
}
