// Runs the built command line as a user does, in a process of its own.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from './paths.js';

export const cliPath = join(repoRoot, '.build/js/src/cli.js');

export interface CliResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `cwd` is the repository unless given; `env` comes on top of ours. No terminal, and nothing on stdin but `input`. */
export function runCli(
  args: readonly string[],
  {
    cwd = repoRoot,
    env = {},
    input = '',
  }: { cwd?: string; env?: Record<string, string>; input?: string | Uint8Array } = {},
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cliPath, ...args], { cwd, env: { ...process.env, DEBUG: '', ...env } });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (exitCode) => resolve({ exitCode, stdout, stderr }));
    // A command that refuses its arguments ends without reading.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** As runCli, and the processor time of the process and its threads in ms, which other programs don't make longer. */
export async function runCliTimed(
  args: readonly string[],
  { cwd = repoRoot }: { cwd?: string } = {},
): Promise<CliResult & { readonly cpuMs: number }> {
  // The shell's `times` prints its own times in one line, those of what it ran in the next: user, system.
  const script = '"$@"; code=$?; times >&3; exit $code';
  const child = spawn('sh', ['-c', script, 'sh', process.execPath, cliPath, ...args], {
    cwd,
    env: { ...process.env, DEBUG: '' },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const texts = ['', '', '', ''];
  for (const fd of [1, 2, 3]) {
    (child.stdio[fd] as NodeJS.ReadableStream).setEncoding('utf8').on('data', (text) => {
      texts[fd] += text;
    });
  }
  const exitCode = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const [, stdout, stderr, times] = texts;
  const ofChildren = times.trim().split('\n').at(-1)!;
  const seconds = [...ofChildren.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, m, s]) => sum + 60 * Number(m) + Number(s),
    0,
  );
  return { exitCode, stdout, stderr, cpuMs: 1000 * seconds };
}

/** Writes `rows.jsonl` (one row) and `tokenizer.json` (made from it) into the folder: the least that commands can work with. */
export async function writeProject(folder: string): Promise<void> {
  writeFileSync(join(folder, 'rows.jsonl'), '{"prompt": "什么是词元？", "completion": "词元是文本的最小单位。"}\n');
  const args = ['tokenizer', 'build', '--data', 'rows.jsonl', '--out', 'tokenizer.json'];
  const { exitCode, stderr } = await runCli(args, { cwd: folder });
  if (exitCode !== 0) throw new Error(stderr);
}
