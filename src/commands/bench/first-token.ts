// From the start of a process to the first token of an answer: what somebody waits for who types `gpt-loom infer`.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { saveCheckpoint } from '../../checkpoint/save.js';
import type { NamedWeights } from '../../model/weights.js';
import { median } from '../../tune/statistics.js';

export interface FirstTokenRun {
  readonly weights: NamedWeights;
  readonly vocabSize: number;
  /** The configuration as checkpoints record it, and the text of tokenizer.json. */
  readonly config: Parameters<typeof saveCheckpoint>[1]['info']['config'];
  readonly tokenizerJson: string;
  readonly engine: string;
  readonly prompt: string;
  readonly starts: number;
  /** Called before each start; may throw to end the measurement. */
  readonly onPart: () => Promise<void>;
}

const CLI = fileURLToPath(new URL('../../cli.js', import.meta.url));

/** Milliseconds, the median; the checkpoint is one of random weights in a folder that goes afterwards. */
export async function measureFirstToken(run: FirstTokenRun): Promise<number> {
  const { weights, vocabSize, config, tokenizerJson } = run;
  const folder = mkdtempSync(join(tmpdir(), 'gpt-loom-bench-'));
  try {
    const checkpoint = join(folder, 'random');
    const info = { step: 0, trainLoss: null, evalLoss: null, vocabSize, config };
    await saveCheckpoint(checkpoint, { info, tensors: weights, tokenizerJson });
    const times: number[] = [];
    for (let i = 0; i < run.starts; i++) {
      await run.onPart();
      times.push(await timeToFirstToken(folder, checkpoint, run));
    }
    return median(times);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The answer is one token long: its text, or the end of its line, is the first thing that the process prints. */
async function timeToFirstToken(cwd: string, checkpoint: string, { prompt, engine }: FirstTokenRun): Promise<number> {
  const args = ['infer', '--ckpt', checkpoint, '--engine', engine, `--prompt=${prompt}`];
  const started = performance.now();
  const child = spawn(process.execPath, [CLI, ...args, '--max_new_tokens', '1', '--temperature', '0', '--quiet'], {
    // Where no configuration lies that was made for something else.
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let ms: number | null = null;
  let problem = '';
  child.stdout.once('data', () => {
    ms = performance.now() - started;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    problem += text;
  });
  const [exitCode, signal] = await once(child, 'close');
  if (ms !== null && exitCode === 0) return ms;
  throw new Error(`gpt-loom infer ended with ${signal ?? exitCode} before its first token: ${problem}`);
}
