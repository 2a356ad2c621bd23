// Started by tests: the train command with a worker that fails. Arguments: the folder, and a FaultyRun as JSON.

import { followRun } from '../../src/commands/train/follow.js';
import { type RunOptions, testInputs } from '../helpers/run.js';
import type { Fault } from './fault.js';
import { withFault } from './faults.js';

export interface FaultyRun {
  readonly run: RunOptions;
  readonly fault: Omit<Fault, 'times' | 'folder'>;
  /** How long the watchdog waits. */
  readonly patienceMs?: number;
}

const [folder, json] = process.argv.slice(2);
const { run, fault, patienceMs } = JSON.parse(json) as FaultyRun;
try {
  const inputs = withFault(testInputs(folder, run), fault, { patienceMs });
  await followRun({ inputs, useDashboard: false }, { json: true, acceptance: false });
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
