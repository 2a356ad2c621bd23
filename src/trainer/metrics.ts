// metrics.jsonl: the record of a run, one JSON object a line. The first tells of the run, then each step, evaluation,
// checkpoint, notice and the end has one. Written as it happens, synchronously: a line takes microseconds, and a crash loses
// none that was written. A power cut may lose what isn't synced: a checkpoint that says step N waits for `sync`.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FileError } from '../errors.js';
import { type AppendOps, appendOps } from './append-ops.js';
import type { TrainEvent } from './events.js';
import { METRICS_FILE, metricsLine } from './metrics-lines.js';

export class MetricsFile {
  private fd: number | null = null;
  private isClosed = false;
  /** Lines that wait for something to have happened. */
  private held = '';

  private constructor(
    private readonly saveDir: string,
    /** Lines of the run that is resumed. */
    private readonly kept: string,
    /** Whether the file of an older run, which isn't resumed, lies there. */
    private readonly isOther: boolean,
    private readonly ops: AppendOps,
  ) {}

  /**
   * Starts the file anew, or, for a resumed run, keeps what was recorded up to `startStep`. The file takes the place of the
   * old one with the first event, the start: so whoever reads it never sees a run that doesn't tell of itself. The record of
   * another run stays until a step is recorded: like its checkpoint, if this one ends before.
   */
  static open(saveDir: string, startStep: number, ops: AppendOps = appendOps): MetricsFile {
    const path = join(saveDir, METRICS_FILE);
    return guard(path, () => {
      const isThere = existsSync(path);
      const kept = startStep > 0 && isThere ? linesUpTo(readFileSync(path, 'utf8'), startStep) : '';
      return new MetricsFile(saveDir, kept, startStep === 0 && isThere, ops);
    });
  }

  write(event: TrainEvent): void {
    if (this.isClosed) return;
    const line = `${metricsLine(event)}\n`;
    if (this.fd === null && this.isOther && event.type !== 'step') {
      this.held += line;
      return;
    }
    guard(join(this.saveDir, METRICS_FILE), () => {
      if (this.fd === null) this.fd = this.create(this.held + line);
      else append(this.fd, line, this.ops);
    });
  }

  /** Resolves when the device has every line written so far. Throws FileError. */
  async sync(): Promise<void> {
    const { fd, ops } = this;
    if (fd === null) return;
    try {
      await ops.sync(fd);
    } catch (error) {
      throw unwritable(join(this.saveDir, METRICS_FILE), error);
    }
  }

  /** The old file is whole until the new one is, on the device too. */
  private create(firstLines: string): number {
    const { saveDir, ops } = this;
    const aside = join(saveDir, `.${METRICS_FILE}.new`);
    const fd = ops.create(aside);
    try {
      append(fd, this.kept + firstLines, ops);
      ops.syncNow(fd);
      ops.rename(aside, join(saveDir, METRICS_FILE));
      ops.syncFolder(saveDir);
      return fd;
    } catch (error) {
      ops.close(fd);
      throw error;
    }
  }

  close(): void {
    if (this.fd !== null) this.ops.close(this.fd);
    this.fd = null;
    this.isClosed = true;
  }
}

/** A full disk may take part of a line and report no error. */
function append(fd: number, text: string, ops: AppendOps): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length; ) {
    const taken = ops.write(fd, bytes.subarray(written));
    if (taken <= 0) throw Object.assign(new Error('the device takes no more bytes'), { code: 'ENOSPC' });
    written += taken;
  }
}

/**
 * Whole lines whose step isn't beyond the given one, and with them the run lines of the processes that wrote them; a line
 * cut off by a crash goes. So does an end: the run goes on.
 */
function linesUpTo(text: string, step: number): string {
  const lines = text.split('\n').slice(0, -1);
  return lines
    .filter((line, i) => {
      if (!line.endsWith('}')) return false;
      const runsFrom = /^\{"run":.*"start_step":(\d+)/.exec(line)?.[1];
      // A process that resumed here before and got no further gives way to the one that resumes now.
      if (runsFrom !== undefined) return i === 0 || Number(runsFrom) < step;
      const recorded = /^\{"step":(\d+)(,"end":)?/.exec(line);
      return recorded !== null && recorded[2] === undefined && Number(recorded[1]) <= step;
    })
    .map((line) => `${line}\n`)
    .join('');
}

function guard<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw unwritable(path, error);
  }
}

function unwritable(path: string, cause: unknown): FileError {
  return new FileError(
    `${path} can't be written: ${(cause as Error).message}.\n` +
      '  The run was stopped so that its record has no gap. Free some space or choose another --save-dir, then --resume.',
    { cause },
  );
}
