// Signals during a measurement: the first ends it as soon as what runs at the moment is done, the second ends the process.

import { constants } from 'node:os';

export interface StopSignals {
  /** 128 + the signal that came, or null. */
  readonly exitCode: number | null;
  close(): void;
}

const STOPPING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export function watchStopSignals(): StopSignals {
  let exitCode: number | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    if (exitCode !== null) process.exit(exitCode);
    exitCode = 128 + constants.signals[signal];
  };
  for (const signal of STOPPING) process.on(signal, onSignal);
  return {
    get exitCode() {
      return exitCode;
    },
    close() {
      for (const signal of STOPPING) process.off(signal, onSignal);
    },
  };
}
