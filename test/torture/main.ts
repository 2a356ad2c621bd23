// The full torture of the trainer: `npm run test:torture`, hours at full size. Prints one line a section, with its figures.
// `npm run test:torture -- kill workers --scale 0.05 --seed 7` runs some sections, at a twentieth of their size.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { createRandom } from '../../src/random.js';
import { exploreSteps } from '../parallel/protocol.js';
import { killAndResume } from '../reliability/kill.js';
import { createProject, fingerprintOf, startTrain, trainToEnd } from '../reliability/project.js';
import { DEATHS, killWorkers } from './deaths.js';
import { fillDisks } from './disk.js';
import { fuzzFolders, fuzzInProcess, type Seeds, TARGETS } from './fuzz.js';
import { fuzzCommands } from './fuzz-commands.js';
import { inLanes } from './lanes.js';
import { sanitize } from './sanitize.js';
import { soak } from './soak.js';

interface Run {
  readonly seed: number;
  /** A section's full size, scaled; at least 1. */
  readonly scaled: (size: number) => number;
  readonly project: string;
}

/** Small files make many mutants; what is checked is the same. */
const FUZZED_CHANNELS = 8;
const MUTANTS = { checkpoint: 1_000_000, tokenizer: 100_000, config: 100_000, rows: 100_000 };

const SECTIONS: Record<string, (run: Run) => Promise<string>> = {
  async kill({ seed, scaled, project }) {
    const expected = await wholeRun(project);
    const count = scaled(200);
    let kills = 0;
    await inLanes(count, async (i) => {
      const run = await killAndResume(project, `kill-${i}`, seed + i);
      kills += run.kills;
      if (JSON.stringify(fingerprintOf(run.saveDir)) !== expected) throw new Error(`seed ${seed + i}: other files`);
      rmSync(run.saveDir, { recursive: true });
    });
    return `${count} of ${count} runs identical after ${kills} kill -9`;
  },
  async workers({ seed, scaled }) {
    const figures: string[] = [];
    for (const death of DEATHS) {
      const count = scaled(100);
      const failures = await killWorkers(death, count, seed);
      figures.push(`${death} ${failures} in ${count} runs`);
    }
    return `${figures.join(', ')}; 0 hangs, 0 differences`;
  },
  async signals({ seed, scaled, project }) {
    const expected = await wholeRun(project);
    const random = createRandom(seed);
    const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 0 } as const;
    const count = scaled(50);
    for (const [signal, code] of Object.entries(codes) as [keyof typeof codes, number][]) {
      const steps = Array.from({ length: count }, () => uniformInt(random, 1, 45));
      await inLanes(count, async (i) => {
        const name = `${signal}-${i}`;
        const run = startTrain(project, name);
        await run.seen('"type":"step"', steps[i]);
        run.child.kill(signal);
        const { exitCode, stderr } = await run.ended;
        if (exitCode !== code) throw new Error(`${name}: exit code ${exitCode}: ${stderr}`);
        if (code !== 0) await trainToEnd(project, name, ['--resume']);
        if (JSON.stringify(fingerprintOf(join(project, name))) !== expected) throw new Error(`${name}: other files`);
        rmSync(join(project, name), { recursive: true });
      });
    }
    return `${count} of ${count} of each of ${Object.keys(codes).join(', ')}: right code, saved, identical in the end`;
  },
  async lock({ scaled, project }) {
    const count = scaled(100);
    for (let i = 0; i < count; i++) {
      const runs = [0, 1].map(() => startTrain(project, `race-${i}`));
      const codes = (await Promise.all(runs.map((run) => run.ended))).map(({ exitCode }) => exitCode);
      if (codes.sort().join() !== '0,75') throw new Error(`race ${i}: exit codes ${codes.join(', ')}`);
      rmSync(join(project, `race-${i}`), { recursive: true });
    }
    return `${count} of ${count} races had exactly one winner`;
  },
  disk: ({ scaled, project }) => fillDisks(project, scaled(60)),
  async fuzz({ seed, scaled }) {
    const seeds = await fuzzSeeds();
    for (const target of TARGETS) await fuzzInProcess(target, scaled(MUTANTS[target]), seed, seeds);
    const folders = scaled(20_000);
    await fuzzFolders(folders, seed, seeds);
    const figures = TARGETS.map((target) => `${scaled(MUTANTS[target])} mutants of ${target}`);
    return `${figures.join(', ')}, ${folders} whole folders: 0 crashes, 0 untyped errors, each under 1 s`;
  },
  async commands({ seed, scaled }) {
    const seeds = await fuzzSeeds();
    const figures: string[] = [];
    for (const target of TARGETS) {
      const count = scaled(2000);
      const { slowestMs, judgedByCpu, codes } = await fuzzCommands(target, count, seed, seeds);
      const ends = [...codes].map(([code, times]) => `${times} with ${code}`).join(', ');
      const busy = judgedByCpu > 0 ? `, ${judgedByCpu} judged by processor time` : '';
      figures.push(`${target} ${count} (${ends}; slowest ${Math.round(slowestMs)} ms${busy})`);
    }
    return `${figures.join('; ')}: each under 1 s`;
  },
  async protocol({ scaled }) {
    // The size of an exhaustive search isn't a matter of scale, only whether it has two or three workers.
    const workers = scaled(100) < 100 ? 2 : 3;
    const figures = (['none', 'throws', 'dies', 'aborted'] as const).map((trouble) => {
      const { states } = exploreSteps({ workers, microBatches: trouble === 'none' ? 2 : 1, trouble });
      return `${trouble} ${states}`;
    });
    // Two workers, since three and a coordinator come together in too many ways.
    const series = { workers: 2, microBatches: 2, steps: 2, trouble: 'none', coordinator: true } as const;
    for (const isFused of [true, false]) figures.push(`a series ${exploreSteps({ ...series, isFused }).states}`);
    return `${workers} workers in every order: ${figures.join(', ')} states; 0 races, 0 deadlocks`;
  },
  sanitize: async ({ project }) => sanitize(project),
  soak: ({ scaled, project }) => soak(project, scaled(60)),
};

async function fuzzSeeds(): Promise<Seeds> {
  const project = createProject(FUZZED_CHANNELS);
  await wholeRun(project);
  return { project, saveDir: join(project, 'whole') };
}

async function wholeRun(project: string): Promise<string> {
  await trainToEnd(project, 'whole');
  return JSON.stringify(fingerprintOf(join(project, 'whole')));
}

const USAGE = `Usage: npm run test:torture -- [section…] [--scale <share of the full size>] [--seed <n>]
Sections (all, if none is named): ${Object.keys(SECTIONS).join(', ')}
`;

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      scale: { type: 'string', default: '1' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  const scale = Number(values.scale);
  const seed = Number(values.seed);
  const unknown = positionals.filter((name) => !Object.hasOwn(SECTIONS, name));
  if (unknown.length > 0) throw new Error(`there is no section ${unknown.join(', ')}`);
  if (!(scale > 0 && scale < Infinity)) throw new Error(`--scale must be a number above 0, it is ${values.scale}`);
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed must be an integer, it is ${values.seed}`);
  return { chosen: positionals.length > 0 ? positionals : Object.keys(SECTIONS), scale, seed, help: values.help };
}

function exitWith(code: number, text: string): never {
  (code === 0 ? process.stdout : process.stderr).write(text);
  process.exit(code);
}

const { chosen, scale, seed, help } = (() => {
  try {
    return readArguments();
  } catch (error) {
    return exitWith(2, `${(error as Error).message}\n${USAGE}`);
  }
})();
if (help) exitWith(0, USAGE);
for (const name of chosen) {
  const started = performance.now();
  const outcome = await SECTIONS[name]({
    seed,
    scaled: (size) => Math.max(1, Math.round(size * scale)),
    project: createProject(),
  }).catch((error: Error) => {
    process.exitCode = 1;
    return `FAILED: ${error.stack ?? error.message}`;
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stdout.write(`${name.padEnd(9)} seed ${seed}  ${seconds.padStart(5)} s  ${outcome}\n`);
}
