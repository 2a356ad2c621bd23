// What a line that begins with a slash asks for in a conversation. Texts in, commands out.

import { ConfigError } from '../../errors.js';
import type { AnswerOptions } from './flags.js';
import { parseNumber } from './number.js';
import { NUMBER_RULES } from './rules.js';

export type SettingKey = 'temperature' | 'topK' | 'topP';

export type ChatCommand =
  | { readonly name: 'clear' | 'help' | 'quit' }
  /** value: null = show it. */
  | { readonly name: 'set'; readonly key: SettingKey; readonly value: number | null };

const SETTINGS: Readonly<Record<string, SettingKey>> = {
  temp: 'temperature',
  temperature: 'temperature',
  top_k: 'topK',
  top_p: 'topP',
};
const PLAIN: Readonly<Record<string, 'clear' | 'help' | 'quit'>> = {
  clear: 'clear',
  help: 'help',
  quit: 'quit',
  exit: 'quit',
};

/** A Chinese keyboard gives the full-width slash. `/dev/null是什么` is a question: a command is one Latin word. */
const COMMAND = /^[/／]([a-z_-]+)(?:\s+(.*))?$/i;

/** null: the line is a question. Throws ConfigError for a command that doesn't exist or a value it doesn't take. */
export function parseCommand(line: string): ChatCommand | null {
  const match = COMMAND.exec(line.trim());
  if (match === null) return null;
  const word = match[1].toLowerCase().replaceAll('-', '_');
  const value = match[2]?.trim() ?? '';
  if (Object.hasOwn(SETTINGS, word)) {
    const key = SETTINGS[word];
    const rule = { ...NUMBER_RULES[key], flag: `/${word}` };
    return { name: 'set', key, value: value === '' ? null : parseNumber(value, rule) };
  }
  if (!Object.hasOwn(PLAIN, word)) {
    throw new ConfigError(
      `/${match[1]} is not a command.\n  Expected /clear, /temp, /top_k, /top_p, /help or /quit.\n  /help explains them.`,
    );
  }
  if (value !== '') {
    throw new ConfigError(`/${word} takes no value, but "${value}" follows it.\n  Type /${word} alone.`);
  }
  return { name: PLAIN[word] };
}

const NAMES: Readonly<Record<SettingKey, string>> = { temperature: 'temperature', topK: 'top_k', topP: 'top_p' };

/** E.g. `temperature 0.8`. */
export function describeSetting(key: SettingKey, options: AnswerOptions): string {
  const isIdle = key !== 'temperature' && options.temperature === 0;
  return `${NAMES[key]} ${options[key]}${isIdle ? ', without effect at temperature 0 (/temp 0.8 changes that)' : ''}`;
}

export function helpText({ temperature, topK, topP }: AnswerOptions, historyTurns: number): string {
  const turns = historyTurns === 1 ? 'the turn before it' : `the ${historyTurns} turns before it`;
  const reading = historyTurns === 0 ? 'by itself' : `with ${turns}`;
  return (
    `  A line is a question; it is read ${reading} (--history).\n` +
    '  /clear     forget the turns so far\n' +
    `  /temp X    0 = always the likeliest token; higher = more varied (now ${temperature})\n` +
    `  /top_k N   draw from the N likeliest tokens; 0 = from all (now ${topK})\n` +
    `  /top_p P   draw from the likeliest that together have probability P (now ${topP})\n` +
    '  /help      this list\n' +
    '  /quit      end; Ctrl-D does the same\n' +
    '  Ctrl-C     breaks off an answer, or clears the line; on an empty line it ends\n'
  );
}
