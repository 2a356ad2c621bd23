// Standard output and standard error that are full, closed or unread: whatever a command prints, it ends with the right code.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { cliPath } from '../helpers/cli.js';
import { createProject, fingerprintOf, trainToEnd } from '../reliability/project.js';

let project: string;

before(async () => {
  project = createProject();
  await trainToEnd(project, 'run', ['--max-steps', '4']);
});

let runs = 0;

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `redirection` in the shell's words. The exit code comes through a descriptor of its own: a pipe has its reader's. */
function run(command: string, redirection: string, folder = project): Promise<Ended> {
  // Several run at the same time: each writes to a place of its own.
  const args = command.replace('OUT', `out-${++runs}`);
  const script = `{ "${process.execPath}" "${cliPath}" ${args} 3>&-; echo $? >&3; } ${redirection}`;
  return new Promise((resolve) => {
    const child = spawn('sh', ['-c', script], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, DEBUG: '' },
    });
    const texts = ['', '', '', ''];
    for (const fd of [1, 2, 3]) {
      (child.stdio[fd] as NodeJS.ReadableStream).setEncoding('utf8').on('data', (text) => {
        texts[fd] += text;
      });
    }
    child.on('close', () => resolve({ exitCode: Number(texts[3] || Number.NaN), stdout: texts[1], stderr: texts[2] }));
  });
}

const PRINTING = [
  '--version',
  'train --help',
  'doctor',
  'tokenizer inspect --tokenizer tokenizer.json 天空',
  'tokenizer build --out OUT.json',
  'infer --ckpt run/last --prompt 天空 --max-new-tokens 2',
  'infer --ckpt run/last --prompt 天空 --max-new-tokens 2 --json',
  'eval --ckpt run/last --data train.jsonl',
  'plot run --out OUT.svg',
  'watch run --plain',
  `data build --facts "${join(process.cwd(), 'data/facts.jsonl')}" --out OUT --json`,
];

/** A shell that is gone before anything is written to it. */
const UNREAD = '| :';
const FULL = '/dev/full';

for (const command of PRINTING) {
  const name = command.split(' --')[0] || command;
  test(`streams: ${name} ends with 0 unread or with closed streams, with 74 on a full device`, async () => {
    const full = existsSync(FULL) ? await run(command, `>${FULL}`) : null;
    const [unread, closed, muted] = await Promise.all([
      run(command, UNREAD),
      run(command, '>&- 2>&-'),
      existsSync(FULL) ? run(command, `2>${FULL}`) : run(command, '2>&-'),
    ]);
    assert.deepEqual([unread.exitCode, closed.exitCode, muted.exitCode], [0, 0, 0], `${unread.stderr}${muted.stdout}`);
    assert.ok(muted.stdout.length > 0);
    assert.doesNotMatch(unread.stderr, /EPIPE|\n\s+at /);
    if (full === null) return;
    assert.equal(full.exitCode, 74, full.stderr);
    assert.match(full.stderr, /FileError: standard output can't be written: .*ENOSPC[^\n]*\.\n {2}\S[^\n]*\n$/);
  });
}

test('streams: a refusal ends with 2, whatever becomes of its text', async () => {
  for (const redirection of [`2>${existsSync(FULL) ? FULL : '&-'}`, '2>&-', '>&- 2>&-', '2>&1 | :']) {
    assert.equal((await run('trian', redirection)).exitCode, 2, redirection);
  }
});

const LOST: [redirection: string, view: string][] = [
  ...(existsSync(FULL)
    ? [[`>${FULL}`, '--plain'] as [string, string], [`>${FULL} 2>${FULL}`, '--json'] as [string, string]]
    : []),
  ['>&- 2>&-', '--plain'],
  [UNREAD, '--json'],
];

test('streams: training goes on to the same bits without its output, and says so once', async () => {
  const expected = fingerprintOf(join(project, 'run'));
  for (const [i, [redirection, view]] of LOST.entries()) {
    const { exitCode, stderr } = await run(`train --save-dir lost-${i} --max-steps 4 ${view}`, redirection);
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(fingerprintOf(join(project, `lost-${i}`)), expected);
    if (redirection.includes('2>')) continue;
    const said = `; the run goes on, its record is lost-${i}/metrics.jsonl\n`;
    assert.match(stderr, /^standard output can't be written any more \([^\n]*(ENOSPC|EPIPE)[^\n]*\)[^\n]*\n$/);
    assert.ok(stderr.endsWith(said), stderr);
  }
});
