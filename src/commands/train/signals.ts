// Signals during training: the first asks the run to stop and save, the second ends the process at once.

import { constants } from 'node:os';

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
    const code = 128 + constants.signals[signal];
    if (exitCode !== null) process.exit(code);
    exitCode = code;
    stop();
  };
  const onHangup = () => {};
  for (const signal of STOPPING) process.on(signal, onSignal);
  process.on('SIGHUP', onHangup);
  return {
    get exitCode() {
      return exitCode;
    },
    interrupt: () => process.exit(128 + constants.signals.SIGINT),
    close() {
      for (const signal of STOPPING) process.off(signal, onSignal);
      process.off('SIGHUP', onHangup);
    },
  };
}
