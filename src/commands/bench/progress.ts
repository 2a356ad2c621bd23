// What is being measured: one line at the bottom of a terminal, nothing elsewhere. Also where a measurement stops for a signal.

import type { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { truncate } from '../../ui/text.js';
import { CommandExit } from '../exit.js';
import type { StopSignals } from '../stop-signals.js';

export interface Parts {
  /** To be called before each part. Throws CommandExit once a signal has come. */
  begin(name: string): Promise<void>;
  /** Takes the line away. */
  clear(): void;
}

type Screen = Writable & { readonly isTTY?: boolean; readonly columns?: number };

const CLEAR_LINE = '\r\u001b[K';
const USUAL_WIDTH = 80;

export function createParts(stderr: Screen, signals: Pick<StopSignals, 'exitCode'>): Parts {
  let shown = '';
  return {
    async begin(name) {
      // Native code holds this thread for as long as a part takes: signals get their turn here.
      await nextTurn();
      if (signals.exitCode !== null) throw new CommandExit(signals.exitCode);
      if (!stderr.isTTY || name === shown) return;
      shown = name;
      stderr.write(`${CLEAR_LINE}${truncate(`measuring ${name} …`, (stderr.columns ?? USUAL_WIDTH) - 1)}`);
    },
    clear() {
      if (shown !== '') stderr.write(CLEAR_LINE);
      shown = '';
    },
  };
}
