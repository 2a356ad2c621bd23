// `infer` (alias `chat`): questions from flags, a file, a pipe or the keyboard; answers from a checkpoint.
// Loads only the flags; the model and all that reads it are imported when the command runs.

import type { Command } from 'commander';
import { ConfigError } from '../errors.js';
import { addInferFlags, checkDevice, type InferFlags, parseAnswerOptions } from './infer/flags.js';

export function registerInfer(program: Command): void {
  const command = program
    .command('infer')
    .alias('chat')
    .description('Answer questions with a trained model. Without a question, on a terminal: a conversation.');
  addInferFlags(command);
  command.action(runInfer);
}

/** Flags are checked first, questions read next, the model loaded last: whoever mistypes a flag doesn't wait. */
async function runInfer(flags: InferFlags): Promise<void> {
  const options = parseAnswerOptions(flags);
  checkDevice(flags.device);
  const { readPrompts } = await import('./infer/prompts.js');
  const prompts = await readPrompts(flags, process.stdin);
  if (prompts === null && flags.json) {
    throw new ConfigError(
      '--json has no question to answer.\n  A conversation is for people and has no JSON form.\n  Add --prompt, --prompt-file, or pipe questions in.',
    );
  }
  const { loadModel } = await import('./infer/model.js');
  const { listenForInterrupt } = await import('./infer/interrupt.js');
  const { printAnswers, createAnswerPrinter } = await import('./infer/print.js');
  const model = await loadModel(flags);
  const interrupt = listenForInterrupt();
  const output = { stdout: process.stdout, stderr: process.stderr, signal: interrupt.signal };
  try {
    if (prompts !== null) return await printAnswers(model, prompts, options, flags, output);
    const { chat } = await import('./infer/chat.js');
    await chat(createAnswerPrinter(model, options, flags, output), process.stdin, output, interrupt.abort);
  } finally {
    interrupt.dispose();
    model.engine.close();
  }
}
