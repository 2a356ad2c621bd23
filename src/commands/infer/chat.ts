// A conversation at the keyboard: a line is a question, answered at once. Each stands alone: the model was trained on single
// questions and would take earlier ones for noise. Ctrl-D ends it, Ctrl-C too (130).

import { createInterface } from 'node:readline';
import { LoomError } from '../../errors.js';
import { interrupted } from './interrupt.js';
import type { AnswerPrinter, Output } from './print.js';
import { hasText, type InputStream } from './prompts.js';

const GREETING = 'Ask in Chinese, one question a line; each is answered by itself. Ctrl-D ends.\n';

/**
 * Resolves at the end of the input, throws what `interrupted` gives after Ctrl-C. A question that can't be answered is
 * explained and ends nothing. `abort` must abort output.signal.
 */
export async function chat(
  printAnswer: AnswerPrinter,
  stdin: InputStream,
  output: Output,
  abort: () => void,
): Promise<void> {
  // Where the answers go into a file, the person still sees what she types.
  const screen = output.stdout.isTTY ? output.stdout : output.stderr;
  screen.write(GREETING);
  const lines = createInterface({ input: stdin, output: screen, terminal: screen.isTTY === true, prompt: '> ' });
  lines.on('SIGINT', abort); // In raw mode Ctrl-C is a key, not a signal.
  let isOpen = true;
  lines.on('close', () => {
    isOpen = false;
  });
  const close = () => lines.close();
  output.signal.addEventListener('abort', close);
  try {
    lines.prompt();
    for await (const line of lines) {
      if (hasText(line)) await answerOrExplain(printAnswer, line, output);
      if (isOpen) lines.prompt();
    }
  } finally {
    output.signal.removeEventListener('abort', close);
    lines.close();
    screen.write('\n');
  }
  if (output.signal.aborted) throw interrupted();
}

async function answerOrExplain(printAnswer: AnswerPrinter, question: string, output: Output): Promise<void> {
  try {
    await printAnswer(question);
  } catch (error) {
    if (!(error instanceof LoomError)) throw error;
    output.stderr.write(`${error.name}: ${error.message}\n`);
  }
}
