// Training in a real pseudo-terminal: the dashboard with its keys, another size, and a terminal that goes away.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { METRICS_FILE } from '../../../src/trainer/metrics-lines.js';
import { parseMetrics } from '../../../src/trainer/metrics-reader.js';
import { cliPath } from '../../helpers/cli.js';
import { createProject } from '../../reliability/project.js';

const LEAVE = '\u001b[?1049l';
/** Whoever takes longer hangs. */
const MOST_MS = 60_000;
/** `script` of util-linux runs a command in a pseudo-terminal. Other systems have others, or none. */
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false;
const skip = hasScript ? false : 'needs script of util-linux';

interface TerminalRun {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  output(): string;
  /** Resolves when the terminal shows the text, after what was awaited before; rejects when all is over without it. */
  seen(text: string): Promise<void>;
  type(keys: string): void;
}

/** `gpt-loom train` on a terminal of 80 by 24, which becomes 110 by 30 as soon as there is a file `resize` in the project. */
function trainInTerminal(project: string, steps: number): TerminalRun {
  const train = `"${process.execPath}" "${cliPath}" train --no-acceptance --max-steps ${steps}`;
  const settings = '--set training.early_stopping_patience=0 --set training.eval_interval=500';
  const resize = '{ while [ ! -e resize ]; do sleep 0.02; done; stty cols 110 rows 30; } < /dev/tty &';
  const command = `stty rows 24 cols 80; ${resize} ${train} ${settings}; echo "status $?"; stty -a; touch resize`;
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: project,
    // An empty CI isn't one, except for Ink.
    env: { ...process.env, TERM: 'xterm', NO_COLOR: '1', DEBUG: '', CI: '', CONTINUOUS_INTEGRATION: '' },
    timeout: MOST_MS,
  });
  let output = '';
  let from = 0;
  let wake = () => {};
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    wake();
  });
  let isOver = false;
  const ended = new Promise<void>((resolve) =>
    child.on('close', () => {
      isOver = true;
      wake();
      resolve();
    }),
  );
  const seen = async (text: string) => {
    for (let at = -1; at < 0; ) {
      at = output.indexOf(text, from);
      if (at >= 0) from = at + text.length;
      else if (isOver) throw new Error(`never saw ${text} in ${JSON.stringify(output.slice(-3000))}`);
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  };
  return { child, ended, output: () => output, seen, type: (keys) => void child.stdin.write(keys) };
}

const eventsOf = (project: string) => {
  const path = join(project, 'checkpoints', METRICS_FILE);
  return parseMetrics(readFileSync(path, 'utf8'), path);
};

test('train: on a terminal the dashboard pauses, answers, follows the size and stops', { skip }, async () => {
  const project = createProject();
  const run = trainInTerminal(project, 1_000_000);
  await run.seen('epoch');
  run.type('p');
  await run.seen('paused');
  run.type('a');
  await run.seen('Enter');
  run.type('天空是什么颜色？\r');
  await run.seen('> 天空是什么颜色？');
  await run.seen('Esc closes');
  run.type('\u001b');
  writeFileSync(join(project, 'resize'), '');
  // Only a wide footer names this key.
  await run.seen('freeze');
  run.type('q');
  await run.ended;
  const [, normal, ...more] = run.output().split(LEAVE);
  assert.deepEqual(more, [], 'left once');
  assert.match(normal, /^\r?\n?Stopped after step [\d,]+ of 1,000,000\r\n/);
  assert.match(normal, /status 0\r\n/);
  assert.match(normal, /[^-]icanon/);
  assert.ok(existsSync(join(project, 'checkpoints/last')));
});

test('train: a terminal that goes away leaves the run to go on to its end', { skip }, async () => {
  const project = createProject();
  const run = trainInTerminal(project, 1000);
  await run.seen('epoch');
  run.child.kill('SIGKILL');
  await run.ended;
  writeFileSync(join(project, 'resize'), '');
  const before = eventsOf(project).at(-1);
  assert.ok(before !== undefined && before.type !== 'end', 'the run was still going on');
  const deadline = Date.now() + MOST_MS;
  while (eventsOf(project).at(-1)?.type !== 'end' && Date.now() < deadline) await delay(50);
  const end = eventsOf(project).at(-1);
  assert.deepEqual([end?.type, end?.type === 'end' && [end.reason, end.step]], ['end', ['done', 1000]]);
});
