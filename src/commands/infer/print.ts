// Answers on standard output, as text that grows or as JSON lines; speed and remarks on standard error.

import { randomInt } from 'node:crypto';
import type { Writable } from 'node:stream';
import { type GenerateEndEvent, generate, type TokenEvent } from '../../sampling/generate.js';
import { MAX_SEED } from '../../sampling/options.js';
import { confidenceToJson, type JudgedAnswer, judge, withheldRemark } from './confidence.js';
import type { AnswerOptions, InferFlags } from './flags.js';
import { interrupted } from './interrupt.js';
import type { AnsweringModel } from './model.js';
import { answerToJson, cutOffRemark, speedLine } from './report.js';

export type OutputStream = Writable & { readonly isTTY?: boolean };

export interface Output {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** Aborted = stop between two tokens; what is running then throws interrupted(). */
  readonly signal: AbortSignal;
}

/** Answers one question and prints it; resolves to what the answer was. */
export type AnswerPrinter = (prompt: string) => Promise<JudgedAnswer>;

export type PrintFlags = Pick<InferFlags, 'showLabel' | 'json' | 'quiet' | 'confidence'>;

/** Every question in turn, each answered as if it stood alone. With more than one, each answer has its question above it. */
export async function printAnswers(
  model: AnsweringModel,
  prompts: readonly string[],
  options: AnswerOptions,
  flags: PrintFlags,
  output: Output,
): Promise<void> {
  const printAnswer = createAnswerPrinter(model, options, flags, output);
  const answers: GenerateEndEvent[] = [];
  for (const [i, prompt] of prompts.entries()) {
    if (prompts.length > 1 && !flags.json) {
      await write(output, `${i === 0 ? '' : '\n'}> ${shown(prompt, output.stdout)}\n`);
    }
    answers.push((await printAnswer(prompt)).end);
  }
  if (!flags.json && !flags.quiet) output.stderr.write(`${speedLine(answers, model.path)}\n`);
}

export function createAnswerPrinter(
  model: AnsweringModel,
  options: AnswerOptions,
  flags: PrintFlags,
  output: Output,
): AnswerPrinter {
  const { minConfidence } = options;
  return async (prompt) => {
    const seed = options.seed ?? randomInt(MAX_SEED + 1);
    const events = generate(model.engine, model.tokenizer, prompt, { ...options, seed });
    if (flags.json) {
      const { end, tokens } = await collect(events, output, async () => {});
      const judged = judge(end, tokens, minConfidence);
      const usedSeed = options.temperature === 0 ? null : seed;
      const more = confidenceToJson(judged, model.tokenizer, { isAsked: flags.confidence ?? false, minConfidence });
      const object = { ...answerToJson(prompt, { ...end, text: judged.text }, usedSeed, model.path), ...more };
      await write(output, `${JSON.stringify(object)}\n`);
      return judged;
    }
    const judged = await printText(events, flags.showLabel ? '回答:' : '', minConfidence, output);
    const cutOff = judged.isWithheld ? null : cutOffRemark(judged.end, options.maxNewTokens);
    for (const remark of flags.quiet ? [] : [cutOff, withheldRemark(judged, minConfidence)]) {
      if (remark !== null) output.stderr.write(`${remark}\n`);
    }
    if (flags.confidence) {
      const { confidenceLines } = await import('./confidence-lines.js');
      output.stderr.write(`${confidenceLines(judged, model.tokenizer).join('\n')}\n`);
    }
    return judged;
  };
}

type Events = ReturnType<typeof generate>;

/** As it grows, or all at once where it may yet be withheld. The line is ended whatever happens to the answer. */
async function printText(events: Events, label: string, minConfidence: number, output: Output): Promise<JudgedAnswer> {
  let hasBegun = false;
  const show = async (text: string) => {
    if (!hasBegun) await write(output, label);
    hasBegun = true;
    await write(output, shown(text, output.stdout));
  };
  try {
    const { end, tokens } = await collect(events, output, minConfidence > 0 ? async () => {} : show);
    const judged = judge(end, tokens, minConfidence);
    await show(minConfidence > 0 ? judged.text : '');
    return judged;
  } finally {
    if (hasBegun) output.stdout.write('\n');
  }
}

/** Hands on the pieces of text and returns how it ended and the tokens on the way. Throws interrupted(). */
async function collect(
  events: Events,
  { signal }: Output,
  onText: (text: string) => Promise<void>,
): Promise<{ end: GenerateEndEvent; tokens: TokenEvent[] }> {
  const tokens: TokenEvent[] = [];
  for await (const event of events) {
    if (signal.aborted) throw interrupted();
    if (event.type === 'token') tokens.push(event);
    if (event.type === 'text') await onText(event.text);
    if (event.type === 'end') return { end: event, tokens };
  }
  throw new Error('the answer had no end');
}

/** Waits for a slow reader, so that a long list of answers doesn't pile up in memory. */
async function write({ stdout, signal }: Output, text: string): Promise<void> {
  if (signal.aborted) throw interrupted();
  if (stdout.write(text)) return;
  // Not events.once: it would listen for errors, too, and a reader that is gone is the affair of cli.ts.
  await new Promise<void>((resolve) => {
    const go = () => {
      stdout.off('drain', go);
      signal.removeEventListener('abort', go);
      resolve();
    };
    stdout.on('drain', go);
    signal.addEventListener('abort', go);
  });
}

/** A terminal obeys control characters, and a model may write any. Files and pipes get the text as it is. */
function shown(text: string, stdout: OutputStream): string {
  return stdout.isTTY ? text.replace(/[\p{Cc}]/gu, (char) => (char === '\n' || char === '\t' ? char : '\uFFFD')) : text;
}
