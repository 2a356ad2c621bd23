// Ctrl-C outside a conversation: the work breaks off where it can and the command ends with 130.

import { CommandExit } from '../exit.js';

/** 128 + 2, the number of SIGINT. */
const INTERRUPTED = 130;

/** What to throw once the signal is aborted. */
export function interrupted(): CommandExit {
  return new CommandExit(INTERRUPTED);
}

/** Runs with a signal that the first SIGINT aborts; a second one ends the process at once, as if nobody listened. */
export async function untilInterrupted<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  process.once('SIGINT', abort);
  try {
    return await run(controller.signal);
  } finally {
    process.off('SIGINT', abort);
  }
}
