// How long a piece of work takes when nothing disturbs it.

/** Milliseconds of one call of `run(1)`: the least of several rounds of calls that take about `ms` together. */
export function fastest(run: (times: number) => void, ms: number): number {
  const times = timesThatTake(run, ms / ROUNDS);
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < ROUNDS; i++) {
    const started = performance.now();
    run(times);
    best = Math.min(best, (performance.now() - started) / times);
  }
  return best;
}

/** Many and short ones: a round shorter than a time slice may be left alone even on a busy machine. */
const ROUNDS = 20;
const MOST_TIMES = 2 ** 24;

/** The first calls warm up caches and memory, and tell how many calls fit. */
function timesThatTake(run: (times: number) => void, ms: number): number {
  for (let times = 1; ; times *= 2) {
    const started = performance.now();
    run(times);
    const took = performance.now() - started;
    if (took >= ms / 2 || times >= MOST_TIMES) return Math.max(1, Math.round((times * ms) / took));
  }
}
