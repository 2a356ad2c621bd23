// Ctrl-C while an answer is being written: the answer breaks off between two tokens and the command ends with 130.

import { CommandExit } from '../exit.js';

/** 128 + 2, the number of SIGINT. */
const INTERRUPTED = 130;

/** What to throw once the signal is aborted. */
export function interrupted(): CommandExit {
  return new CommandExit(INTERRUPTED);
}

export interface Interrupt {
  readonly signal: AbortSignal;
  abort(): void;
  dispose(): void;
}

/** Aborts the signal at the first SIGINT; a second one ends the process at once, as if nobody listened. */
export function listenForInterrupt(): Interrupt {
  const controller = new AbortController();
  const abort = () => controller.abort();
  process.once('SIGINT', abort);
  return { signal: controller.signal, abort, dispose: () => void process.off('SIGINT', abort) };
}
