// Which settings are worth measuring: numbers of threads, and micro-batch sizes that divide the batch. Pure.

/** What can be tuned. A precision is none of it: see precisions.ts. */
export interface Setting {
  readonly threads: number;
  /** Samples per micro-batch, as in the configuration. */
  readonly microBatch: number;
}

export interface Grid {
  readonly batchSize: number;
  /** What the configuration says now. */
  readonly present: Setting;
  /** Hardware threads that this process may use, and the physical cores among them. */
  readonly logical: number;
  readonly physical: number;
}

/** Up to here every number of threads is tried; above, these and the two numbers of cores. */
const EVERY_UP_TO = 8;
const LADDER = [12, 16, 24, 32, 48, 64, 96, 128, 192, 256];
/** More sizes than this would take too long; those nearest to the present one stay. */
const MOST_SIZES = 6;

/** The present setting, and one for each number of threads, with a size that gives each thread a micro-batch. */
export function firstSettings(grid: Grid): Setting[] {
  const { present, physical } = grid;
  const others = threadCounts(grid)
    // The physical cores are the best guess, so they come next if time runs out.
    .sort((a, b) => Math.abs(a - physical) - Math.abs(b - physical) || a - b)
    .map((threads) => ({ threads, microBatch: sizeFor(threads, grid) }));
  return [present, ...others.filter((setting) => !isSame(setting, present))];
}

/** The other sizes for a number of threads, those nearest to the present one first. */
export function otherSizes(threads: number, grid: Grid): Setting[] {
  return sizes(grid)
    .filter((microBatch) => microBatch !== sizeFor(threads, grid) && grid.batchSize / microBatch >= threads)
    .map((microBatch) => ({ threads, microBatch }));
}

export function isSame(a: Setting, b: Setting): boolean {
  return a.threads === b.threads && a.microBatch === b.microBatch;
}

/** Numbers of threads for which a batch has micro-batches enough. */
function threadCounts({ batchSize, logical, physical }: Grid): number[] {
  const every = Array.from({ length: Math.min(logical, EVERY_UP_TO) }, (_, i) => i + 1);
  const all = new Set([...every, ...LADDER.filter((n) => n < logical), physical, logical]);
  return [...all].filter((threads) => threads <= batchSize).sort((a, b) => a - b);
}

/** The present size, or the next smaller one that gives each thread a micro-batch. */
function sizeFor(threads: number, grid: Grid): number {
  const { batchSize, present } = grid;
  return Math.max(
    1,
    ...divisors(batchSize).filter((size) => size <= present.microBatch && batchSize / size >= threads),
  );
}

function sizes({ batchSize, present }: Grid): number[] {
  const distance = (size: number) => Math.max(size / present.microBatch, present.microBatch / size);
  return divisors(batchSize)
    .sort((a, b) => distance(a) - distance(b) || a - b)
    .slice(0, MOST_SIZES);
}

function divisors(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1).filter((divisor) => n % divisor === 0);
}
