// Every way in which a program with an open dashboard may end leaves the terminal as it was.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const CHILD = join(import.meta.dirname, 'exit-child.js');
const ENTER = '\u001b[?1049h';
const LEAVE = '\u001b[?1049l';

/** A child that takes longer hangs; it is ended, and its test fails. */
const MOST_MS = 10_000;

interface Result {
  readonly output: string;
  readonly errors: string;
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Runs a command; `keys` are typed when the first step is on the screen, one by one as the output answers. */
function run(command: string, args: readonly string[], keys: readonly (readonly [seen: string, key: string])[] = []) {
  return new Promise<Result>((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, TERM: 'xterm', NODE_ENV: '' }, timeout: MOST_MS });
    const rest = [...keys];
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      while (rest.length > 0 && output.includes(rest[0][0])) child.stdin.write(rest.shift()?.[1] ?? '');
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ output, errors, status, signal }));
  });
}

const ways: [way: string, status: number | null, signal: NodeJS.Signals | null, after: RegExp][] = [
  ['throw', 1, null, /^$/],
  ['signal', null, 'SIGTERM', /^$/],
];

for (const [way, status, signal, after] of ways) {
  test(`terminal: is given back when the program ends by ${way}`, async () => {
    const result = await run(process.execPath, [CHILD, way]);
    assert.deepEqual([result.status, result.signal], [status, signal], result.errors);
    assert.equal(result.output.split(ENTER).length, 2);
    const [, rest, ...more] = result.output.split(LEAVE);
    assert.deepEqual(more, [], 'left once');
    assert.match(rest, after);
    if (way === 'throw') assert.match(result.errors, /a mistake somewhere else/);
  });
}

/** `script` of util-linux runs a command in a pseudo-terminal. Other systems have others, or none. */
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false;
const skip = hasScript ? false : 'needs script of util-linux';

/** The program in a pseudo-terminal of 80 by 24, and after it the terminal's mode. */
function runInTerminal(keys: readonly (readonly [string, string])[]): Promise<Result> {
  const command = `stty rows 24 cols 80; "${process.execPath}" "${CHILD}" keys terminal; echo "status $?"; stty -a`;
  return run('script', ['-qec', command, '/dev/null'], keys);
}

test('dashboard: in a terminal, q stops the run and everything is as before', { skip }, async () => {
  const { output } = await runInTerminal([['step    30/2,000', 'q']]);
  const [screen, normal] = output.split(LEAVE);
  assert.match(screen, /stopping after this step/);
  assert.match(normal, /^\r?\n?Stopped after step 30 of 2,000\r\n/);
  assert.match(normal, /status 0\r\n/);
  assert.match(normal, /[^-]icanon/);
  assert.match(normal, /[^-]echo\b/);
});

test('dashboard: in a terminal, the second Ctrl-C quits at once', { skip }, async () => {
  const { output } = await runInTerminal([['step    30/2,000', '\u0003\u0003']]);
  const [, normal] = output.split(LEAVE);
  assert.match(normal, /status 130\r\n/);
  assert.match(normal, /[^-]icanon/);
});
