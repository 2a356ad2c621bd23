// Runs other programs and keeps what they print, to be shown only when they fail.

import { spawn } from 'node:child_process';

/**
 * Resolves to { ok, output, missing }: exit status 0, stdout and stderr in order, and whether there is no such program.
 * Never rejects. `options` are those of spawn; `input` goes to the program's stdin.
 */
export function run(command, args, { input = '', ...options } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    // A program may end without reading its input.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', (error) =>
      resolve({ ok: false, output: `${command}: ${error.message}`, missing: error.code === 'ENOENT' }),
    );
    child.on('close', (code, signal) => {
      const output = Buffer.concat(chunks).toString().trimEnd();
      resolve({ ok: code === 0, output: signal ? `${output}\n${command}: ${signal}`.trim() : output, missing: false });
    });
  });
}
