// A long training of a tiny model with the dashboard in a pseudo-terminal: its memory and its open files stay what they are.

import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { cliPath } from '../helpers/cli.js';

/** Before that, caches and the compiler's output still grow. */
const WARM_UP_SHARE = 0.25;
const SAMPLES = 240;
const MAX_MB_PER_HOUR = 1;
/** A slope over less than this says nothing. */
const LEAST_MINUTES = 30;
/**
 * V8 gives each thread up to 48 MB for young objects, more or fewer as the machine's load changes the rate at which they
 * come: steps of dozens of MB that have nothing to do with what is kept. So their room is fixed, to 1 MB a half.
 */
const YOUNG_SPACE = '--max-semi-space-size=1';

export async function soak(project: string, minutes: number): Promise<string> {
  if (!spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux')) {
    return 'skipped: needs script of util-linux';
  }
  const sets = ['training.early_stopping_patience=0', 'training.max_steps=1000000000'].map((set) => `--set ${set}`);
  const command = `stty rows 40 cols 120; exec "${process.execPath}" ${YOUNG_SPACE} "${cliPath}" train --save-dir soak ${sets.join(' ')}`;
  const terminal = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: project,
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, TERM: 'xterm-256color', CI: '' },
  });
  terminal.stdout.resume();
  const ended = new Promise<number | null>((resolve) => terminal.on('close', resolve));
  const samples: { hours: number; mb: number; files: number }[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    const isOver = await Promise.race([delay((minutes * 60_000) / SAMPLES, false), ended.then(() => true)]);
    if (isOver) throw new Error('the training ended');
    const pid = trainerBelow(terminal.pid!);
    samples.push({ hours: ((i + 1) / SAMPLES) * (minutes / 60), mb: residentMb(pid), files: openFiles(pid) });
  }
  terminal.stdin.write('q');
  const exitCode = await ended;
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}`);
  const warm = samples.slice(Math.floor(SAMPLES * WARM_UP_SHARE));
  const slope = slopeOf(warm.map(({ hours, mb }) => [hours, mb]));
  const files = warm.map((sample) => sample.files);
  const spread = Math.max(...files.slice(-20)) - Math.min(...files.slice(0, 20));
  const figures = `${minutes} minutes, ${warm.at(-1)!.mb.toFixed(1)} MB, ${slope.toFixed(2)} MB an hour, open files +${spread}`;
  if (minutes >= LEAST_MINUTES && slope > MAX_MB_PER_HOUR) throw new Error(figures);
  // A checkpoint that is being saved has a few open.
  if (spread > 8) throw new Error(figures);
  return figures;
}

/** The process below `script` (and its shell) whose command line is the trainer's. */
function trainerBelow(pid: number): number {
  const { stdout } = spawnSync('ps', ['-o', 'pid=,ppid=,args=', '-A'], { encoding: 'utf8' });
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  let family = new Set([String(pid)]);
  for (let depth = 0; depth < 4; depth++) {
    const children = rows.filter(([, parent]) => family.has(parent));
    const trainer = children.find(([, , program]) => program === process.execPath);
    if (trainer) return Number(trainer[0]);
    family = new Set(children.map(([child]) => child));
  }
  throw new Error('the training is not running');
}

function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Least squares. */
function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (of: (point: readonly [number, number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean(([a]) => a), mean(([, b]) => b)];
  return mean(([a, b]) => (a - x) * (b - y)) / mean(([a]) => (a - x) ** 2);
}
