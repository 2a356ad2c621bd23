// Started by tests: the train command whose second worker hangs in native code in step 5, for ever.
// Arguments: the folder, and how long the watchdog waits, in milliseconds.

import { followRun } from '../../src/commands/train/follow.js';
import { testInputs } from '../helpers/run.js';
import { withFault } from './faults.js';

const [folder, patienceMs] = process.argv.slice(2);
const inputs = testInputs(folder, { workers: 2, model: { n_layer: 1, n_embd: 32 } });
const fault = { kind: 'native', task: 'step', step: 5, rank: 1, at: 'reduce' } as const;
try {
  await followRun(
    { inputs: withFault(inputs, fault, { patienceMs: Number(patienceMs) }), useDashboard: false },
    { json: true },
  );
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
