// A disk that is really full: a small tmpfs, filled a little more each time, so that the save fails at another place.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadTraining } from '../../src/checkpoint/load.js';
import { startTrain, trainToEnd } from '../reliability/project.js';
import { sameFiles } from './same.js';

const DISK_KB = 2048;
/** The project's three checkpoints take about 400 kB, one that is being written aside 270 kB more. */
const LEAST_FREE_KB = 8;
const MOST_FREE_KB = 420;

/** Returns why it can't be done here, or how many runs met the full disk. */
export async function fillDisks(project: string, count: number): Promise<string> {
  const disk = join(project, 'disk');
  mkdirSync(disk);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_KB}k`, 'tmpfs', disk], { encoding: 'utf8' });
  if (mounted.status !== 0) return `skipped: mounting a small disk needs root (${(mounted.stderr ?? '').trim()})`;
  let full = 0;
  try {
    for (let i = 0; i < count; i++) {
      const freeKb = LEAST_FREE_KB + Math.round(((MOST_FREE_KB - LEAST_FREE_KB) * i) / Math.max(1, count - 1));
      full += (await trainOnFullDisk(project, disk, freeKb)) ? 1 : 0;
      for (const name of readdirSync(disk)) rmSync(join(disk, name), { recursive: true });
    }
  } finally {
    spawnSync('umount', [disk]);
  }
  return `${count} runs, ${full} of them met a full disk; the checkpoint of before was whole each time`;
}

async function trainOnFullDisk(project: string, disk: string, freeKb: number): Promise<boolean> {
  await trainToEnd(project, 'disk/run', ['--max-steps', '8']);
  const last = join(disk, 'run/last');
  const before = sameFiles(last);
  fillUp(disk, freeKb);
  const { exitCode, stderr } = await startTrain(project, 'disk/run', ['--max-steps', '30', '--resume']).ended;
  const where = `with ${freeKb} kB free: exit code ${exitCode}: ${stderr}`;
  const { state } = await loadTraining(last);
  if (exitCode === 0) return false;
  // 2: the disk was so full that the first look found it unusable.
  if (exitCode !== 74 && exitCode !== 2) throw new Error(where);
  if (!/ENOSPC|no space|full/i.test(stderr) || /\n\s+at /.test(stderr)) throw new Error(where);
  if (state.step === 8 && sameFiles(last) !== before) throw new Error(`${where}: the old checkpoint was touched`);
  rmSync(join(disk, 'ballast'));
  await trainToEnd(project, 'disk/run', ['--max-steps', '30', '--resume']);
  return true;
}

function fillUp(disk: string, freeKb: number): void {
  const { stdout } = spawnSync('df', ['-k', '--output=avail', disk], { encoding: 'utf8' });
  const available = Number(stdout.trim().split('\n').at(-1));
  writeFileSync(join(disk, 'ballast'), Buffer.alloc(Math.max(0, available - freeKb) * 1024, 1));
}
