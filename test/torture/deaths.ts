// Workers that fail, each kind many times, at a step, a place and a rank that the seed decides.

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { createRandom } from '../../src/random.js';
import { runToEnd, temporaryFolder, testInputs } from '../helpers/run.js';
import type { Fault } from '../reliability/fault.js';
import { withFault } from '../reliability/faults.js';
import { checkpointsOf } from '../reliability/project.js';

export const DEATHS = ['throw', 'exit', 'heap', 'loop', 'asleep'] as const;

const STEPS = 12;
const PLACES = [
  { at: 'forward' },
  { at: 'backward' },
  { at: 'wait', nth: 1 },
  { at: 'wait', nth: 2 },
  { at: 'reduce' },
  { at: 'update', nth: 1 },
  { at: 'wait', nth: 3 },
  { at: 'update', nth: 2 },
] as const;
const PATIENCE_MS = 1000;

function inputsFor(folder: string, workers: number) {
  return testInputs(folder, {
    workers,
    model: { n_layer: 1, n_embd: 32, dropout: 0.1 },
    training: { max_steps: STEPS, eval_interval: 4, save_interval: 5 },
  });
}

/** Returns how many of `count` runs saw their worker fail; throws at the first whose checkpoints differ by a bit. */
export async function killWorkers(death: (typeof DEATHS)[number], count: number, seed: number): Promise<number> {
  const random = createRandom(seed);
  const base = temporaryFolder();
  const whole = join(base, 'whole');
  mkdirSync(whole);
  await runToEnd(inputsFor(whole, 1));
  const expected = JSON.stringify(checkpointsOf(whole));
  let failures = 0;
  for (let i = 0; i < count; i++) {
    const workers = uniformInt(random, 1, 4);
    const where = { step: uniformInt(random, 1, STEPS), rank: uniformInt(random, 0, workers - 1) };
    const place = PLACES[uniformInt(random, 0, PLACES.length - 1)];
    // Who sleeps at a barrier isn't ours to choose, nor does one worker alone.
    const fault: Omit<Fault, 'times' | 'folder'> =
      death === 'asleep'
        ? { kind: 'exit', task: 'step', at: 'asleep', step: where.step }
        : { kind: death, task: 'step', ...where, ...place };
    const folder = join(base, String(i));
    mkdirSync(folder);
    const patienceMs = death === 'loop' ? PATIENCE_MS : undefined;
    const events = await runToEnd(withFault(inputsFor(folder, workers), fault, { patienceMs }));
    failures += events.filter((event) => event.type === 'notice' && event.level === 'warning').length;
    const found = JSON.stringify(checkpointsOf(folder));
    if (found !== expected) throw new Error(`run ${i} of seed ${seed}: ${JSON.stringify(fault)}: other bits`);
    rmSync(folder, { recursive: true });
  }
  return failures;
}
