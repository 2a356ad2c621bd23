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
import { byteMutations, mutateBytes, mutateJson, valueMutations } from './mutations.js';

export interface Seeds {
  /** A folder of createProject in which a run has ended. */
  readonly project: string;
  /** The run's folder in it. */
  readonly saveDir: string;
}

export const TARGETS = ['checkpoint', 'tokenizer', 'config', 'rows'] as const;
export type Target = (typeof TARGETS)[number];

export const LONGEST_MS = 1000;
/** On a busy machine the clock may run on while others have the processor: so often in all before it counts. */
export const TRIES = 4;
const MODEL = 'last/model.safetensors';
export const STATE = 'last/training/state.json';
const INFO = 'last/config.json';

export interface Mutant {
  /** From the project, or from the run's folder. */
  readonly file: string;
  readonly content: Uint8Array | string;
}

const FILES: Record<Target, readonly string[]> = {
  checkpoint: [MODEL, MODEL, INFO, STATE],
  tokenizer: ['tokenizer.json'],
  config: ['config.yaml'],
  rows: ['train.jsonl', 'val.jsonl'],
};

/** Reads `count` mutants in this process. Throws at the first that crashes, takes longer than a second, or pollutes. */
export async function fuzzInProcess(target: Target, count: number, seed: number, seeds: Seeds): Promise<void> {
  const scratch = join(seeds.project, `fuzz-${target}`);
  mkdirSync(scratch, { recursive: true });
  await fc.assert(
    fc.property(mutants(target, seeds), (mutant) => {
      const ms = Array.from({ length: TRIES }, () => 0);
      for (let i = 0; i < TRIES; i++) {
        ms[i] = timeToRead(mutant, scratch);
        if (ms[i] < LONGEST_MS) break;
        if (i === TRIES - 1) throw new Error(`${ms.map(Math.round).join(', ')} ms`);
      }
      if (Object.keys(Object.prototype).length > 0) throw new Error('Object.prototype was changed');
    }),
    { numRuns: count, seed },
  );
}

/** The whole folder through the loaders that commands use, which also compare the files with each other. */
export async function fuzzFolders(count: number, seed: number, seeds: Seeds): Promise<void> {
  const [folder, whole] = [join(seeds.project, 'fuzz-folder'), join(seeds.saveDir, 'last')];
  cpSync(whole, join(folder, 'last'), { recursive: true });
  await fc.assert(
    fc.asyncProperty(mutants('checkpoint', seeds), async ({ file, content }) => {
      writeFileSync(join(folder, file), content);
      for (const load of [loadCheckpoint, loadTraining]) {
        await load(join(folder, 'last')).catch((error: unknown) => {
          if (!(error instanceof LoomError)) throw error;
        });
      }
      copyFileSync(join(seeds.saveDir, file), join(folder, file));
    }),
    { numRuns: count, seed },
  );
}

/** Milliseconds. Throws what isn't an error of ours. */
function timeToRead(mutant: Mutant, scratch: string): number {
  const started = performance.now();
  try {
    read(mutant, scratch);
  } catch (error) {
    if (!(error instanceof LoomError)) throw error;
    if (error.message.length > 4000) throw new Error(`a message of ${error.message.length} characters`);
  }
  return performance.now() - started;
}

export function mutants(target: Target, { project, saveDir }: Seeds): fc.Arbitrary<Mutant> {
  const choices = FILES[target].map((file) => {
    const bytes = readFileSync(join(file.startsWith('last/') ? saveDir : project, file));
    const byByte = byteMutations.map((mutations): Mutant => ({ file, content: mutateBytes(bytes, mutations) }));
    if (file === 'config.yaml') return byByte;
    const byValue = valueMutations.map(
      (mutations): Mutant => ({ file, content: mutateValues(file, bytes, mutations) }),
    );
    return fc.oneof(byByte, byValue);
  });
  return fc.oneof(...choices);
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
  const text = () => (typeof content === 'string' ? content : Buffer.from(content).toString());
  if (file === MODEL) parseSafetensors(Buffer.from(content), file);
  else if (file === INFO) parseInfo(text(), file);
  else if (file === STATE) parseState(text(), file);
  else if (file === 'tokenizer.json')
    parseTokenizer(text(), file).encode('天空 (a+)+$ aaaaaaaaaaaaaaaaaaaaaaaaaaaa', { special: true });
  else {
    const path = join(scratch, file);
    writeFileSync(path, content);
    if (file === 'config.yaml') loadConfig({ configPath: path });
    else loadRows(path);
  }
}
