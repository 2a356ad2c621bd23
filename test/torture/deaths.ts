// Workers that fail, each kind many times, at a step, a place and a rank that the seed decides.

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { createRandom } from '../../src/random.js';
import { type RunOptions, runToEnd, temporaryFolder, testInputs } from '../helpers/run.js';
import type { Fault } from '../reliability/fault.js';
import { withFault } from '../reliability/faults.js';
import { canResume, checkpointsOf, startFaulty } from '../reliability/project.js';

export const DEATHS = ['throw', 'exit', 'heap', 'loop', 'asleep', 'segfault'] as const;

const STEPS = 12;
const PLACES = [
  { at: 'forward' },
  { at: 'backward' },
  { at: 'wait', nth: 1 },
  { at: 'wait', nth: 2 },
  { at: 'reduce' },
  { at: 'update', nth: 1 },
  { at: 'update', nth: 2 },
] as const;
const PATIENCE_MS = 1000;

function optionsFor(workers: number): RunOptions {
  return {
    workers,
    model: { n_layer: 1, n_embd: 32, dropout: 0.1 },
    training: { max_steps: STEPS, eval_interval: 4, save_interval: 5 },
  };
}

/** Returns how many of `count` runs saw their worker fail; throws at the first whose checkpoints differ by a bit. */
export async function killWorkers(death: (typeof DEATHS)[number], count: number, seed: number): Promise<number> {
  const random = createRandom(seed);
  const base = temporaryFolder();
  const whole = join(base, 'whole');
  mkdirSync(whole);
  await runToEnd(testInputs(whole, optionsFor(1)));
  const expected = JSON.stringify(checkpointsOf(whole));
  let failures = 0;
  for (let i = 0; i < count; i++) {
    const workers = uniformInt(random, 1, 4);
    const where = { step: uniformInt(random, 1, STEPS), rank: uniformInt(random, 0, workers - 1) };
    const place = PLACES[uniformInt(random, 0, PLACES.length - 1)];
    // Who sleeps at a barrier isn't ours to choose, nor does one worker alone.
    const fault: Omit<Fault, 'times' | 'folder'> =
      death === 'asleep'
        ? { kind: 'exit', task: 'steps', at: 'asleep', step: where.step }
        : { kind: death, task: 'steps', ...where, ...place };
    const folder = join(base, String(i));
    mkdirSync(folder);
    failures += await survive(folder, optionsFor(workers), fault);
    const found = JSON.stringify(checkpointsOf(folder));
    if (found !== expected) throw new Error(`run ${i} of seed ${seed}: ${JSON.stringify(fault)}: other bits`);
    rmSync(folder, { recursive: true });
  }
  return failures;
}

/** How often a worker failed. */
async function survive(folder: string, options: RunOptions, fault: Omit<Fault, 'times' | 'folder'>): Promise<number> {
  if (fault.kind === 'segfault') {
    // Takes the process with it: the rest is done by another one.
    const { signal, exitCode, stderr } = await startFaulty(folder, { run: options, fault }).ended;
    if (signal !== 'SIGSEGV' && exitCode !== 0) throw new Error(`signal ${signal}, exit code ${exitCode}: ${stderr}`);
    if (signal === 'SIGSEGV') await runToEnd(testInputs(folder, { ...options, resume: canResume(folder) }));
    return signal === 'SIGSEGV' ? 1 : 0;
  }
  // The watchdog of a loop may wake on a busy machine for another worker, too: then the run is repaired twice, to the same bits.
  const patienceMs = fault.kind === 'loop' ? PATIENCE_MS : 60_000;
  const events = await runToEnd(withFault(testInputs(folder, options), fault, { patienceMs }));
  return events.filter((event) => event.type === 'notice' && event.level === 'warning').length;
}
