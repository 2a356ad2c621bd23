// metrics.jsonl: the record of a run, one JSON object a line; a step's or an evaluation's. Written as it happens, synchronously:
// a line takes microseconds, and a crash loses none that was written.

import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { FileError } from '../errors.js';
import type { TrainEvent } from './events.js';

export const METRICS_FILE = 'metrics.jsonl';

/** The line of an event without its newline, or null for events that aren't recorded. */
export function metricsLine(event: TrainEvent): string | null {
  if (event.type === 'step') {
    const { step, epoch, loss, lr, gradNorm, tokens, computedTokens, stepMs, phases, workers } = event;
    return JSON.stringify({
      step,
      epoch,
      loss: finite(loss),
      lr,
      grad_norm: finite(gradNorm),
      tokens,
      computed_tokens: computedTokens,
      step_ms: round(stepMs),
      forward_ms: round(phases.forward),
      backward_ms: round(phases.backward),
      reduce_ms: round(phases.reduce),
      update_ms: round(phases.update),
      wait_ms: round(phases.wait),
      workers: workers.map((w) => ({
        rank: w.rank,
        tokens: w.tokens,
        micro_batches: w.microBatches,
        tokens_per_sec: Math.round((w.tokens / stepMs) * 1000),
        busy: round(w.busy),
        wait: round(w.wait),
      })),
    });
  }
  if (event.type === 'evaluation') {
    return JSON.stringify({ step: event.step, eval_loss: finite(event.evalLoss), eval_ms: round(event.evalMs) });
  }
  return null;
}

/** JSON has no NaN: a text tells the truth where null would hide it. */
function finite(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

export class MetricsFile {
  private constructor(
    private readonly path: string,
    private fd: number | null,
  ) {}

  /** Starts the file anew, or, for a resumed run, keeps what was recorded up to `startStep`. */
  static open(saveDir: string, startStep: number): MetricsFile {
    const path = join(saveDir, METRICS_FILE);
    return guard(path, () => {
      const kept = startStep > 0 && existsSync(path) ? linesUpTo(readFileSync(path, 'utf8'), startStep) : '';
      const aside = join(saveDir, `.${METRICS_FILE}.new`);
      writeFileSync(aside, kept);
      renameSync(aside, path);
      return new MetricsFile(path, openSync(path, 'a'));
    });
  }

  write(event: TrainEvent): void {
    const line = metricsLine(event);
    const { fd } = this;
    if (line === null || fd === null) return;
    const bytes = Buffer.from(`${line}\n`);
    guard(this.path, () => {
      for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
    });
  }

  close(): void {
    if (this.fd !== null) closeSync(this.fd);
    this.fd = null;
  }
}

/** Whole lines whose step isn't beyond the given one; a line cut off by a crash goes. */
function linesUpTo(text: string, step: number): string {
  const lines = text.split('\n').slice(0, -1);
  return lines
    .filter((line) => {
      const recorded = /^\{"step":(\d+)/.exec(line);
      return recorded !== null && line.endsWith('}') && Number(recorded[1]) <= step;
    })
    .map((line) => `${line}\n`)
    .join('');
}

function guard<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new FileError(
      `${path} can't be written: ${(error as Error).message}.\n` +
        '  The run was stopped so that its record has no gap. Free some space or choose another --save-dir, then --resume.',
      { cause: error },
    );
  }
}
