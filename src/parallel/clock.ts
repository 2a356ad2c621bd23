// The one clock that all threads of the process share: performance.now() counts from the start of each thread.

/** Milliseconds since some moment. */
export function sharedNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
