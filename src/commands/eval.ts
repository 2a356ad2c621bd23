// `eval`: how well checkpoints answer the rows of data files. Loads only the flags; the rest is imported when the command runs.

import type { Command } from 'commander';
import { addEvalFlags, type EvalFlags, parseEvalOptions } from './eval/flags.js';

export function registerEval(program: Command): void {
  const command = program
    .command('eval')
    .description('measure a model on questions whose answers are known: loss, exact answers, refusals, by topic');
  addEvalFlags(command);
  command.action(runEval);
}

async function runEval(flags: EvalFlags): Promise<void> {
  const options = parseEvalOptions(flags);
  const { evaluateAll } = await import('./eval/run.js');
  const { untilInterrupted } = await import('./infer/interrupt.js');
  const { stdout, stderr } = process;
  await untilInterrupted((signal) => evaluateAll(flags, options, { stdout, stderr, signal }));
}
