// `infer` (alias `chat`): questions from flags, a file, a pipe or the keyboard; answers from a checkpoint.
// Loads only the flags; the model and all that reads it are imported when the command runs.

import type { Command } from 'commander';
import { ConfigError } from '../errors.js';
import { addInferFlags, checkDevice, type InferFlags, parseAnswerOptions, parseHistory } from './infer/flags.js';

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
  parseHistory(flags.history);
  checkDevice(flags.device);
  const { readPrompts } = await import('./infer/prompts.js');
  const prompts = await readPrompts(flags, process.stdin);
  if (prompts === null && flags.json) {
    throw new ConfigError(
      '--json has no question to answer.\n  A conversation is for people and has no JSON form.\n  Add --prompt, --prompt-file, or pipe questions in.',
    );
  }
  const { loadModel } = await import('./infer/model.js');
  const model = await loadModel(flags);
  const streams = { stdout: process.stdout, stderr: process.stderr };
  if (model.engineNotice && !flags.quiet && !flags.json) streams.stderr.write(`${model.engineNotice}\n`);
  try {
    if (prompts !== null) {
      const { printAnswers } = await import('./infer/print.js');
      const { untilInterrupted } = await import('./infer/interrupt.js');
      await untilInterrupted((signal) => printAnswers(model, prompts, options, flags, { ...streams, signal }));
    } else {
      const { chat } = await import('./infer/chat.js');
      const { createChatPartner } = await import('./infer/partner.js');
      await chat(createChatPartner(model, options, flags, streams), process.stdin, streams);
    }
  } finally {
    model.engine.close();
  }
}
