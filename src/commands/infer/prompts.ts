// Where the questions of `infer` come from.

import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { normalisePrompt } from '../../data/template.js';
import { ConfigError, DataError } from '../../errors.js';
import type { InferFlags } from './flags.js';

export type InputStream = Readable & { readonly isTTY?: boolean };

const STANDARD_INPUT = '-';

/**
 * The questions in order: those of --prompt, then those of the file or, if no flag names any, of a piped standard input.
 * null when nothing was given and a person sits at the keyboard. Lines without text are left out.
 * Throws ConfigError (an empty question, none at all, no such file) or DataError (not UTF-8).
 */
export async function readPrompts(
  flags: Pick<InferFlags, 'prompt' | 'promptFile'>,
  stdin: InputStream,
): Promise<readonly string[] | null> {
  const given = flags.prompt ?? [];
  for (const prompt of given) throwIfEmpty(prompt);
  if (flags.promptFile !== undefined) return [...given, ...(await readLines(flags.promptFile, stdin))];
  if (given.length > 0) return given;
  return stdin.isTTY ? null : readLines(STANDARD_INPUT, stdin);
}

function throwIfEmpty(prompt: string): void {
  if (hasText(prompt)) return;
  throw new ConfigError(
    `--prompt "${prompt}" is empty.\n  Expected a question; spaces alone don't count.\n  For example: --prompt 什么是注意力机制？`,
  );
}

async function readLines(file: string, stdin: InputStream): Promise<string[]> {
  const source = file === STANDARD_INPUT ? 'standard input' : file;
  const bytes = file === STANDARD_INPUT ? await buffer(stdin) : await readPromptFile(file);
  const lines = decodeUtf8(bytes, source).split(/\r?\n/).filter(hasText);
  if (lines.length > 0) return lines;
  throw new ConfigError(
    `There is no question in ${source}.\n  Expected one question a line.\n  Fill it, or ask with --prompt; on a terminal, infer without flags starts a conversation.`,
  );
}

async function readPromptFile(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new ConfigError(
      `--prompt-file ${file} can't be read: ${reasonOf(error)}.\n  Expected a text file with one question a line, or - for standard input.\n  Check the path.`,
      { cause: error },
    );
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such file',
    EISDIR: 'it is a folder',
    EACCES: 'no permission',
  };
  return reasons[code ?? ''] ?? message;
}

function decodeUtf8(bytes: Buffer, source: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new DataError(
      `The questions in ${source} are not UTF-8.\n  Text of any other encoding would reach the model as other characters.\n  Convert it, for example: iconv -f GB18030 -t UTF-8 old.txt > new.txt`,
      { cause: error },
    );
  }
}

/** What the model's frame leaves of the question, not what was typed. */
export function hasText(prompt: string): boolean {
  return normalisePrompt(prompt) !== '';
}
