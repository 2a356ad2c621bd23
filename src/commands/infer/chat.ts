// A conversation at the keyboard: a line is a question, or a command when it begins with a slash. Ctrl-D and /quit end it,
// Ctrl-C breaks off what is going on: an answer, else a line half typed, else the conversation (130).

import type { Turn } from '../../data/template.js';
import { LoomError } from '../../errors.js';
import { CommandExit } from '../exit.js';
import { describeSetting, helpText, parseCommand } from './chat-commands.js';
import type { AnswerOptions } from './flags.js';
import { interrupted } from './interrupt.js';
import { type LineEditor, openLineEditor } from './line-editor.js';
import type { AnswerPrinter, Output } from './print.js';
import { hasText, type InputStream } from './prompts.js';

/** What answers, and how at the beginning. */
export interface ChatPartner {
  readonly options: AnswerOptions;
  /** Earlier turns that a question is read with, at most. */
  readonly historyTurns: number;
  /** The question with those earlier turns that fit. */
  readonly withHistory: (turns: readonly Turn[], question: string) => string;
  /** The printer breaks off, and throws, when the signal aborts. */
  readonly createPrinter: (options: AnswerOptions, signal: AbortSignal) => AnswerPrinter;
}

type Streams = Pick<Output, 'stdout' | 'stderr'>;

const GREETING = 'Ask in Chinese, one question a line. /help lists the commands, Ctrl-D ends.\n';

/**
 * Resolves at the end of the input or after /quit, throws what `interrupted` gives when Ctrl-C ends it. A question that can't
 * be answered is explained and ends nothing; only answers that were completed become history.
 */
export async function chat(partner: ChatPartner, stdin: InputStream, { stdout, stderr }: Streams): Promise<void> {
  // Where the answers go into a file, the person still sees what she types.
  const screen = stdout.isTTY ? stdout : stderr;
  const state: ChatState = { options: partner.options, turns: [], answering: null };
  let isInterrupted = false;
  const onInterrupt = () => {
    if (state.answering !== null) return state.answering.abort();
    if (editor.hasText) return editor.clearLine();
    isInterrupted = true;
    editor.close();
  };
  screen.write(GREETING);
  const editor: LineEditor = openLineEditor(stdin, screen, onInterrupt);
  process.on('SIGINT', onInterrupt);
  try {
    for (let line = await editor.next(); line !== null; line = await editor.next()) {
      if (!hasText(line)) continue;
      const reply = await explainErrors(() => takeLine(partner, state, line), stderr);
      if (reply === END) break;
      screen.write(reply);
    }
  } finally {
    process.off('SIGINT', onInterrupt);
    editor.close();
    screen.write('\n');
  }
  if (isInterrupted) throw interrupted();
}

interface ChatState {
  options: AnswerOptions;
  turns: Turn[];
  /** Aborts the answer that is being written, if one is. */
  answering: AbortController | null;
}

const END = Symbol('end');

/** Does what the line asks; returns what is to be said about it. */
async function takeLine(partner: ChatPartner, state: ChatState, line: string): Promise<string | typeof END> {
  const command = parseCommand(line);
  switch (command?.name) {
    case undefined:
      await answer(partner, state, line);
      return '';
    case 'quit':
      return END;
    case 'clear':
      state.turns = [];
      return 'The turns so far are forgotten.\n';
    case 'help':
      return helpText(state.options, partner.historyTurns);
    case 'set':
      if (command.value !== null) state.options = { ...state.options, [command.key]: command.value };
      return `${describeSetting(command.key, state.options)}\n`;
  }
}

async function answer(partner: ChatPartner, state: ChatState, question: string): Promise<void> {
  const turn = new AbortController();
  state.answering = turn;
  try {
    const print = partner.createPrinter(state.options, turn.signal);
    const { text } = await print(partner.withHistory(state.turns, question));
    state.turns = [...state.turns, { question, answer: text }].slice(-Math.max(1, partner.historyTurns));
  } catch (error) {
    if (!(error instanceof CommandExit)) throw error; // Ctrl-C broke off the answer, not the conversation.
  } finally {
    state.answering = null;
  }
}

async function explainErrors<T>(run: () => Promise<T>, stderr: Output['stderr']): Promise<T | string> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof LoomError)) throw error;
    stderr.write(`${error.name}: ${error.message}\n`);
    return '';
  }
}
