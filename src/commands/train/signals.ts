// Signals during training: the first asks the run to stop and save, the second ends the process at once.

import { writeSync } from 'node:fs';
import { constants } from 'node:os';
import { restoreTerminal } from '../../ui/terminal.js';

export interface SignalWatch {
  /** 128 + the signal that stopped the run, or null. */
  readonly exitCode: number | null;
  /** Ends the process at once, as a second Ctrl-C does. */
  readonly interrupt: () => void;
  close(): void;
}

const STOPPING = ['SIGINT', 'SIGTERM'] as const;

/** SIGHUP is only taken note of: a run whose terminal closes goes on without it. */
export function watchSignals(stop: () => void): SignalWatch {
  let exitCode: number | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    if (exitCode !== null) endNow(signal);
    exitCode = 128 + constants.signals[signal];
    stop();
  };
  const onHangup = () => {};
  for (const signal of STOPPING) process.on(signal, onSignal);
  process.on('SIGHUP', onHangup);
  return {
    get exitCode() {
      return exitCode;
    },
    interrupt: () => endNow('SIGINT'),
    close() {
      for (const signal of STOPPING) process.off(signal, onSignal);
      process.off('SIGHUP', onHangup);
    },
  };
}

/** The reader may be gone, and nobody would wait for a stream. */
function say(text: string): void {
  try {
    writeSync(process.stderr.fd, text);
  } catch {
    // Then nobody reads it.
  }
}

/**
 * Dies of the signal, which a shell reports as 128 + its number. `process.exit` alone would wait for every thread, and one in
 * a long native call, or a hung one, doesn't come.
 */
function endNow(signal: NodeJS.Signals): void {
  restoreTerminal();
  if (process.stdin.isTTY) process.stdin.setRawMode(false);
  say('Stopped at once: what came after the last checkpoint is lost.\n');
  process.removeAllListeners(signal); // Gives the signal its default action back.
  if (process.platform !== 'win32') process.kill(process.pid, signal);
  // Still here: Windows, or the first process of a container, to which the system delivers no such signal.
  process.exit(128 + constants.signals[signal]);
}
