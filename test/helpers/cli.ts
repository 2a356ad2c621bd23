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
  { cwd = repoRoot, env = {}, input = '' }: { cwd?: string; env?: Record<string, string>; input?: string } = {},
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

/** Writes `rows.jsonl` (one row) and `tokenizer.json` (made from it) into the folder: the least that commands can work with. */
export async function writeProject(folder: string): Promise<void> {
  writeFileSync(join(folder, 'rows.jsonl'), '{"prompt": "什么是词元？", "completion": "词元是文本的最小单位。"}\n');
  const args = ['tokenizer', 'build', '--data', 'rows.jsonl', '--out', 'tokenizer.json'];
  const { exitCode, stderr } = await runCli(args, { cwd: folder });
  if (exitCode !== 0) throw new Error(stderr);
}
