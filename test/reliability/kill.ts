// A real training process, killed with SIGKILL at moments that a seed decides, and resumed until it ends.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { createRandom } from '../../src/random.js';
import { canResume, startTrain, trainToEnd } from './project.js';

/** Steps of the project's run. */
const STEPS = 49;
/** A run of the project takes about a second. */
const LONGEST_START_MS = 900;

export interface KilledRun {
  /** Processes that were really killed, not ended before. */
  readonly kills: number;
  readonly saveDir: string;
}

/**
 * Kills 1 to 3 processes: two of three kills come a random instant after a random step's event, the third at a random time
 * after the process was started. Then lets the run end.
 */
export async function killAndResume(project: string, name: string, seed: number): Promise<KilledRun> {
  const random = createRandom(seed);
  const saveDir = join(project, name);
  let kills = 0;
  for (let left = uniformInt(random, 1, 3); left > 0; left--) {
    const run = startTrain(project, name, canResume(saveDir) ? ['--resume'] : []);
    if (uniformInt(random, 0, 2) > 0) {
      await run.seen('"type":"step"', uniformInt(random, 1, STEPS));
      spin(uniformInt(random, 0, 3000));
    } else {
      await Promise.race([delay(uniformInt(random, 0, LONGEST_START_MS)), run.ended]);
    }
    run.child.kill('SIGKILL');
    const { signal, exitCode, stderr } = await run.ended;
    if (signal === 'SIGKILL') kills++;
    else if (exitCode !== 0) throw new Error(`seed ${seed}: exit code ${exitCode}: ${stderr}`);
  }
  await trainToEnd(project, name, canResume(saveDir) ? ['--resume'] : []);
  const left = readdirSync(saveDir).filter((entry) => entry.startsWith('.'));
  if (left.length > 0) throw new Error(`seed ${seed}: strays are left: ${left.join(', ')}`);
  return { kills, saveDir };
}

/** A timer is too coarse for the instants of a save. */
function spin(microseconds: number): void {
  const end = performance.now() + microseconds / 1000;
  while (performance.now() < end);
}
