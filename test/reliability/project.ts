// A folder with everything the command line needs to train a tiny model for a second, and runs of the command line in it.

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatPrompt } from '../../src/data/template.js';
import { trainBpe } from '../../src/tokenizer/train.js';
import { cliPath } from '../helpers/cli.js';
import { ROWS, temporaryFolder } from '../helpers/run.js';
import type { FaultyRun } from './faulty-child.js';

/** The validation contradicts the training: its loss is lowest at step 14, and the run ends five evaluations later, at step 49. */
const CONFIG = `
model: { n_layer: 1, n_head: 2, n_embd: 32, seq_len: 48, dropout: 0.1 }
training:
  { batch_size: 8, micro_batch: 2, lr: 0.02, max_steps: 60, warmup_steps: 3, eval_interval: 7, save_interval: 4,
    early_stopping_patience: 5, threads: 2 }
data: { train_path: train.jsonl, val_path: val.jsonl }
tokenizer: { path: tokenizer.json }
`;

/** Writes config.yaml, data and tokenizer into a new folder. Fewer channels make smaller files. */
export function createProject(nEmbd = 32): string {
  const folder = temporaryFolder();
  const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const contradicting = ROWS.slice(0, 12).map(({ prompt }, i) => ({
    prompt,
    completion: ROWS[(i + 18) % ROWS.length].completion,
  }));
  writeFileSync(join(folder, 'config.yaml'), CONFIG.replace('n_embd: 32', `n_embd: ${nEmbd}`));
  writeFileSync(join(folder, 'train.jsonl'), lines(ROWS.slice(0, 12)));
  writeFileSync(join(folder, 'val.jsonl'), lines(contradicting));
  const texts = ROWS.flatMap(({ prompt, completion }) => [formatPrompt(prompt), completion]);
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(trainBpe(texts, { vocabSize: 300 })));
  return folder;
}

export interface TrainExit {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TrainProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<TrainExit>;
  /** Resolves when stdout holds the text for the n-th time (from 1), or the process has ended. */
  seen(text: string, times?: number): Promise<void>;
}

/** `gpt-loom train` in the project, one JSON object per event on stdout; checkpoints go to `saveDir` in it. */
export function startTrain(project: string, saveDir: string, args: readonly string[] = []): TrainProcess {
  return watchTrain(
    spawn(process.execPath, [cliPath, 'train', '--json', '--save-dir', saveDir, ...args], {
      cwd: project,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, DEBUG: '' },
    }),
  );
}

/** A training in a process of its own whose worker fails; without a project. */
export function startFaulty(folder: string, run: FaultyRun): TrainProcess {
  return watchTrain(spawn(process.execPath, [FAULTY, folder, JSON.stringify(run)]));
}

const FAULTY = join(import.meta.dirname, 'faulty-child.js');

function watchTrain(child: ChildProcess): TrainProcess {
  let stdout = '';
  let stderr = '';
  let isOver = false;
  const waiting = new Set<() => void>();
  const look = () => {
    for (const check of waiting) check();
  };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    look();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<TrainExit>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      isOver = true;
      look();
      resolve({ exitCode, signal, stdout, stderr });
    });
  });
  return {
    child,
    ended,
    seen: (text, times = 1) =>
      new Promise((resolve) => {
        const check = () => {
          if (!isOver && stdout.split(text).length <= times) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
  };
}

/** Trains to the end; throws unless the exit code is 0. */
export async function trainToEnd(project: string, saveDir: string, args: readonly string[] = []): Promise<TrainExit> {
  const exit = await startTrain(project, saveDir, args).ended;
  if (exit.exitCode !== 0) throw new Error(`exit code ${exit.exitCode}, signal ${exit.signal}: ${exit.stderr}`);
  return exit;
}

/** SHA-256 of all that a run leaves behind: every file of every checkpoint, and the metrics without their times. */
export function fingerprintOf(saveDir: string): Record<string, string> {
  const metrics = withoutTimes(readFileSync(join(saveDir, 'metrics.jsonl'), 'utf8'));
  return { ...checkpointsOf(saveDir), 'metrics.jsonl': sha256(metrics) };
}

/** SHA-256 of every file of every checkpoint; the name of the folder itself, which config.json holds, left out. */
export function checkpointsOf(saveDir: string): Record<string, string> {
  const files = ['last', 'best', 'quantized'].flatMap((kind) =>
    readdirSync(join(saveDir, kind), { recursive: true, encoding: 'utf8' })
      .map((name) => join(kind, name))
      .filter((name) => statSync(join(saveDir, name)).isFile())
      .sort(),
  );
  return Object.fromEntries(
    files.map((name) => {
      const content = readFileSync(join(saveDir, name));
      return [name, sha256(name.endsWith('config.json') ? withoutPaths(content.toString()) : content)];
    }),
  );
}

function sha256(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex');
}

export function canResume(saveDir: string): boolean {
  return existsSync(join(saveDir, 'last'));
}

/** The steps and evaluations of the metrics, without what depends on how fast the machine is or how the work was shared. */
export function withoutTimes(metrics: string): string {
  return metrics
    .split('\n')
    .filter((line) => line.includes('"loss":') || line.includes('"eval_loss":'))
    .map((line) => {
      const kept = Object.entries(JSON.parse(line)).filter(([key]) => !/_ms$|^workers$|^time$|per_sec$/.test(key));
      return JSON.stringify(Object.fromEntries(kept));
    })
    .join('\n');
}

function withoutPaths(config: string): string {
  return config.replace(/"(save_dir|train_path|val_path)": "[^"]*"/g, '');
}
