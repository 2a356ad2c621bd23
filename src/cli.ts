#!/usr/bin/env node
// argv -> one command. The only place that sets the exit code and prints errors.
// Loads commander and the list of options, nothing more: each command imports what it needs when it runs.

import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { registerBench } from './commands/bench.js';
import { registerData } from './commands/data.js';
import { registerDoctor } from './commands/doctor.js';
import { registerEval } from './commands/eval.js';
import { CommandExit } from './commands/exit.js';
import { registerInfer } from './commands/infer.js';
import { registerPlot } from './commands/plot.js';
import { registerTokenizer } from './commands/tokenizer.js';
import { registerTrain } from './commands/train.js';
import { registerTune } from './commands/tune.js';
import { registerWatch } from './commands/watch.js';
import { FileError, LoomError } from './errors.js';

/** The whole command line; parsing errors throw CommanderError instead of ending the process. */
export function buildProgram(): Command {
  const program = new Command('gpt-loom')
    .description('Train a small Chinese question-answering GPT on this computer, and talk to it.')
    .version(packageVersion())
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(usageMessage(text)) });
  registerTrain(program);
  registerWatch(program);
  registerTune(program);
  registerBench(program);
  registerPlot(program);
  registerInfer(program);
  registerEval(program);
  registerTokenizer(program);
  registerData(program);
  registerDoctor(program);
  return program;
}

async function main(): Promise<void> {
  surviveClosedPipes();
  process.on('uncaughtException', (error) => process.exit(report(error)));
  try {
    await buildProgram().parseAsync();
  } catch (error) {
    process.exitCode = report(error);
  }
}

const FAILURE = 1;
const BAD_USAGE = 2;

/** Prints what the user needs to know and returns the exit code. */
function report(error: unknown): number {
  if (error instanceof CommandExit) return error.exitCode;
  // commander has printed its message; it asks for 0 after --help and --version.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : BAD_USAGE;
  if (error instanceof LoomError) {
    const isDebug = (process.env.DEBUG ?? '') !== '';
    if (error.showStack || isDebug) console.error(error);
    else process.stderr.write(`${paintRed(error.name)}: ${error.message}\n`);
    return error.exitCode;
  }
  console.error(error);
  return FAILURE;
}

/** Three parts, as all our errors: commander says what and what was meant, we add where to look. */
function usageMessage(text: string): string {
  const [what, ...suggestions] = text
    .replace(/^error: /, '')
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^\((.*)\)$/, '$1'));
  const lines = [...suggestions, 'See gpt-loom --help, or gpt-loom <command> --help.'].map((line) => `  ${line}\n`);
  return `${paintRed('UsageError')}: ${what}\n${lines.join('')}`;
}

function paintRed(text: string): string {
  const useColour = process.stderr.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
  return useColour ? `\x1b[31m${text}\x1b[39m` : text;
}

/** `gpt-loom infer ... | head -1` ends quietly, a full disk does not. A command that must go on without output replaces the listener. */
function surviveClosedPipes(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') {
      if (process.stdout.listenerCount('error') === 1) process.exit(0);
      return;
    }
    // Thrown in an event, so it arrives as an uncaught exception: the command has lost its output and ends here.
    throw new FileError(
      `standard output can't be written: ${error.message}.\n  What it shows is incomplete. Free some space or write elsewhere.`,
      { cause: error },
    );
  });
  process.stderr.on('error', () => {});
}

function packageVersion(): string {
  const path = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

function isMainModule(): boolean {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
}

if (isMainModule()) await main();
