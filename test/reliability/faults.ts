// Runs with workers that fail on demand.

import { setEnvironmentData } from 'node:worker_threads';
import type { TrainInputs } from '../../src/trainer/trainer.js';
import { FAULT_KEY, type Fault } from './fault.js';

const ENTRY = new URL('./faulty-worker.js', import.meta.url).href;

/** Inputs whose workers fail `count` times as described; only for the run that is started next. */
export function withFault(
  inputs: TrainInputs,
  fault: Omit<Fault, 'times' | 'folder'>,
  { count = 1, patienceMs }: { count?: number; patienceMs?: number } = {},
): TrainInputs {
  const times = new SharedArrayBuffer(4);
  new Int32Array(times)[0] = count;
  setEnvironmentData(FAULT_KEY, { ...fault, times, folder: inputs.config.training.saveDir } as never);
  return { ...inputs, team: { entry: ENTRY, patienceMs } };
}
