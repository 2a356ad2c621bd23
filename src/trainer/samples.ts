// Greedy answers of the present model to a few validation prompts, so that one sees it learn to speak.

import type { Row } from '../data/jsonl.js';
import { formatPrompt } from '../data/template.js';
import type { InferenceEngine } from '../engine/engine.js';
import { generate } from '../sampling/generate.js';
import { DEFAULT_GENERATE_OPTIONS } from '../sampling/options.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import type { SamplesEvent } from './events.js';

/** Characters that a dashboard can show. */
const LONGEST_PROMPT = 30;

/** A few short questions with distinct answers, spread over the file: the same for every evaluation. */
export function chooseSamples(rows: readonly Row[], count: number, tokenizer: Tokenizer, seqLen: number): Row[] {
  const byAnswer = new Map(rows.map((row) => [row.completion, row]));
  const distinct = [...byAnswer.values()].filter(
    ({ prompt }) =>
      !prompt.includes('\n') &&
      prompt.length <= LONGEST_PROMPT &&
      tokenizer.encode(formatPrompt(prompt), { special: true }).length < seqLen,
  );
  const stride = Math.max(1, Math.floor(distinct.length / count));
  return distinct.filter((_, i) => i % stride === 0).slice(0, count);
}

/** `engine` reads the live weights, so no step may run meanwhile. */
export async function answerSamples(
  rows: readonly Row[],
  engine: InferenceEngine,
  tokenizer: Tokenizer,
): Promise<SamplesEvent['items']> {
  const items = [];
  for (const { prompt, completion } of rows) {
    items.push({ prompt, answer: await answer(engine, tokenizer, prompt), expected: completion });
  }
  return items;
}

/** One greedy answer. */
export async function answer(engine: InferenceEngine, tokenizer: Tokenizer, prompt: string): Promise<string> {
  let text = '';
  for await (const event of generate(engine, tokenizer, prompt, DEFAULT_GENERATE_OPTIONS)) {
    if (event.type === 'end') text = event.text;
  }
  return text;
}
