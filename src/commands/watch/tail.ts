// Follows a metrics file: what is in it, then what is added; from the beginning again when a resumed or a fresh run puts
// another file in its place.

import { closeSync, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import type { TrainEvent } from '../../trainer/events.js';
import { MetricsReader } from '../../trainer/metrics-reader.js';

export interface Batch {
  /** All that is in the file, in place of what was read before; else only what is new. */
  readonly isWhole: boolean;
  readonly events: readonly TrainEvent[];
}

const CHUNK_BYTES = 1 << 20;
const NEWLINE = 10;

export class MetricsTail {
  /** Kept open, so that the system gives the number of the file to no other one meanwhile. */
  private fd: number | null = null;
  private offset = 0;
  /** The beginning of a line whose end isn't written yet. */
  private rest = Buffer.alloc(0);
  private reader: MetricsReader;

  constructor(readonly path: string) {
    this.reader = new MetricsReader(path);
  }

  /** What has happened since the last call, or null for nothing. Throws DataError for a line that is no record. */
  poll(): Batch | null {
    const stats = statSync(this.path, { throwIfNoEntry: false });
    if (stats === undefined) return null;
    const isWhole = this.fd === null || this.isAnother(stats, this.fd);
    if (isWhole) this.open();
    const events = this.readNew();
    if (this.offset === 0) {
      // Empty: whatever is written into it will be all there is.
      this.close();
      return null;
    }
    return isWhole || events.length > 0 ? { isWhole, events } : null;
  }

  /** Milliseconds since something was written last. */
  idleMs(): number {
    return this.fd === null ? 0 : Date.now() - fstatSync(this.fd).mtimeMs;
  }

  close(): void {
    if (this.fd !== null) closeSync(this.fd);
    this.fd = null;
  }

  private isAnother({ ino, dev, size }: Stats, fd: number): boolean {
    const own = fstatSync(fd);
    return ino !== own.ino || dev !== own.dev || size < this.offset;
  }

  private open(): void {
    this.close();
    this.fd = openSync(this.path, 'r');
    this.offset = 0;
    this.rest = Buffer.alloc(0);
    this.reader = new MetricsReader(this.path);
  }

  private readNew(): TrainEvent[] {
    const events: TrainEvent[] = [];
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (;;) {
      const count = readSync(this.fd as number, chunk, 0, CHUNK_BYTES, this.offset);
      if (count === 0) return events;
      this.offset += count;
      const bytes = Buffer.concat([this.rest, chunk.subarray(0, count)]);
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      this.rest = bytes.subarray(end);
      for (const line of bytes.toString('utf8', 0, end).split('\n').slice(0, -1)) {
        const event = this.reader.read(line);
        if (event !== null) events.push(event);
      }
    }
  }
}
