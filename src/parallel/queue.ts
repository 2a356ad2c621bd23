// The steps on the way, in shared memory: the one that is computed, and the one that lies ready for the moment when that is done.
// The coordinator writes a step before it publishes it, and reads its results after it is finished; workers do the rest.

import { attachBoard, type Board, type BoardDescription, type BoardSize, createBoard } from './board.js';
import type { WorkerReport } from './tasks.js';

/** Steps that may be published and not finished. */
export const QUEUE_LENGTH = 2;

export interface QueueSize extends BoardSize {
  readonly workers: number;
}

export interface QueueDescription {
  readonly size: QueueSize;
  readonly places: readonly { readonly board: BoardDescription; readonly numbers: SharedArrayBuffer }[];
}

/** What of a step's settings differs from that of the step before. */
export interface StepHead {
  readonly lr: number;
  readonly scoredTokens: number;
  /** Workers take micro-batches two at a time. */
  readonly paired: boolean;
}

export interface QueuedStep {
  readonly board: Board;
  /** One a micro-batch, in nats, weighted: their sum is the loss of the step. */
  readonly losses: Float64Array;
  writeHead(head: StepHead): void;
  readHead(): StepHead;
  writeReport(rank: number, report: WorkerReport): void;
  readReport(rank: number): WorkerReport;
}

export interface StepQueue {
  readonly description: QueueDescription;
  /** Step number n of the present series, from 0. */
  at(n: number): QueuedStep;
}

const HEAD = 3;
const REPORT: readonly (keyof WorkerReport)[] = [
  'forwardMs',
  'backwardMs',
  'reduceMs',
  'updateMs',
  'waitMs',
  'microBatches',
  'tokens',
  'gradNorm',
  'endedMs',
];

export function createQueue(size: QueueSize): StepQueue {
  const floats = HEAD + size.microBatches + REPORT.length * size.workers;
  const places = Array.from({ length: QUEUE_LENGTH }, () => ({
    board: createBoard(size).description,
    numbers: new SharedArrayBuffer(floats * Float64Array.BYTES_PER_ELEMENT),
  }));
  return attachQueue({ size, places });
}

export function attachQueue(description: QueueDescription): StepQueue {
  const { microBatches } = description.size;
  const places = description.places.map(({ board, numbers }): QueuedStep => {
    const all = new Float64Array(numbers);
    const reportAt = (rank: number) => HEAD + microBatches + REPORT.length * rank;
    return {
      board: attachBoard(board),
      losses: all.subarray(HEAD, HEAD + microBatches),
      writeHead: ({ lr, scoredTokens, paired }) => all.set([lr, scoredTokens, paired ? 1 : 0]),
      readHead: () => ({ lr: all[0], scoredTokens: all[1], paired: all[2] !== 0 }),
      writeReport(rank, report) {
        REPORT.forEach((field, i) => {
          all[reportAt(rank) + i] = report[field];
        });
      },
      readReport: (rank) =>
        Object.fromEntries(REPORT.map((field, i) => [field, all[reportAt(rank) + i]])) as unknown as WorkerReport,
    };
  });
  return { description, at: (n) => places[n % QUEUE_LENGTH] };
}
