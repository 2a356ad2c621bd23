// Greedy answers of the present model to a few validation prompts, so that one sees it learn to speak.

import type { Row } from '../data/jsonl.js';
import { formatPrompt } from '../data/template.js';
import type { InferenceEngine } from '../engine/engine.js';
import { generate } from '../sampling/generate.js';
import { DEFAULT_GENERATE_OPTIONS } from '../sampling/options.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import type { SampleAnswer, SamplesEvent } from './events.js';

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

/**
 * Share of the training time that answers may take. One takes 15 ms or more, in which all workers stand still: three after
 * every 20 steps would be 3 % of a run.
 */
const TIME_SHARE = 0.01;
/** Tokens that an answer may be longer than the expected one: enough to see that it is wrong. */
const SURPLUS_TOKENS = 8;

export interface SampleTime {
  readonly step: number;
  /** Training time so far. */
  readonly elapsedMs: number;
  /** All questions, whatever time they take. */
  readonly isComplete: boolean;
}

/** Puts the questions after evaluations: all of them the first time, then in turn as many as the time allows. */
export class SampleQuestions {
  private answers: SampleAnswer[] = [];
  private next = 0;
  private askedAtMs = 0;

  /** `engine` reads the live weights, so no step may run during `ask`. */
  constructor(
    private readonly rows: readonly Row[],
    private readonly engine: InferenceEngine,
    private readonly tokenizer: Tokenizer,
    private readonly clock: () => number = () => performance.now(),
  ) {}

  get count(): number {
    return this.rows.length;
  }

  /** The newest answers to all questions, at least one of them of this moment. */
  async ask({ step, elapsedMs, isComplete }: SampleTime): Promise<SamplesEvent> {
    const isFirst = this.answers.length < this.rows.length;
    const budgetMs = isFirst || isComplete ? Number.POSITIVE_INFINITY : (elapsedMs - this.askedAtMs) * TIME_SHARE;
    this.askedAtMs = elapsedMs;
    const started = this.clock();
    let perAnswerMs = 0;
    for (let asked = 1; asked <= this.rows.length; asked++) {
      await this.askNext(step);
      perAnswerMs = (this.clock() - started) / asked;
      if (perAnswerMs * (asked + 1) > budgetMs) break;
    }
    return { type: 'samples', step, items: [...this.answers] };
  }

  private async askNext(step: number): Promise<void> {
    const { prompt, completion } = this.rows[this.next];
    const maxNewTokens = this.tokenizer.encode(completion, { special: false }).length + SURPLUS_TOKENS;
    const text = await answer(this.engine, this.tokenizer, prompt, maxNewTokens);
    this.answers[this.next] = { prompt, answer: text, expected: completion, step };
    this.next = (this.next + 1) % this.rows.length;
  }
}

/** One greedy answer. */
export async function answer(
  engine: InferenceEngine,
  tokenizer: Tokenizer,
  prompt: string,
  maxNewTokens = DEFAULT_GENERATE_OPTIONS.maxNewTokens,
): Promise<string> {
  let text = '';
  for await (const event of generate(engine, tokenizer, prompt, { ...DEFAULT_GENERATE_OPTIONS, maxNewTokens })) {
    if (event.type === 'end') text = event.text;
  }
  return text;
}
