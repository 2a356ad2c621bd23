// How a question and its answer become one sequence of tokens. Training, evaluation and answering all use this one template.

import type { Tokenizer } from '../tokenizer/tokenizer.js';

/** The target of a row that isn't scored, as in PyTorch's cross-entropy. */
export const NOT_SCORED = -100;

/** What the model says to everything it wasn't taught. */
export const REFUSAL = '不知道。';

export interface EncodedSample {
  /** (T) `<bos>` prefix `<eos>` answer `<eos>`, at most seqLen of them. */
  readonly tokens: Int32Array;
  /** (T) the token expected after each row, NOT_SCORED for the rows of the prompt. */
  readonly targets: Int32Array;
  /** The prefix's last row, which predicts the answer's first token. It and all later rows are scored; T when there is none. */
  readonly firstScoredRow: number;
  /** Whether the end was cut off. */
  readonly truncated: boolean;
}

/**
 * Chinese needs no spaces, and people put them in or leave them out: plain and full-width ones (U+3000) are removed, other white
 * space at the ends too. Windows line ends become `\n`.
 */
export function normalisePrompt(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(/[ \u3000]/g, '')
    .trim();
}

/** What the model reads before its answer. */
export function formatPrompt(prompt: string): string {
  return `用户:${normalisePrompt(prompt)}\n助手:`;
}

/** One question of a conversation and what was answered. */
export interface Turn {
  readonly question: string;
  readonly answer: string;
}

/** The prompt for a question that follows earlier turns; its outer marks come from formatPrompt. */
export function promptAfterTurns(turns: readonly Turn[], question: string): string {
  return [...turns.map((turn) => `${turn.question}\n助手:${turn.answer}\n用户:`), question].join('');
}

/** The ids of `formatPrompt` between `<bos>` and `<eos>`: where an answer begins. */
export function encodePrompt(tokenizer: Tokenizer, prompt: string): number[] {
  return tokenizer.encode(formatPrompt(prompt), { special: true });
}

/**
 * Targets are the tokens shifted by one; the last row predicts `<eos>` once more. What exceeds seqLen is cut off at the end;
 * the last row then still expects the token that really follows. Fresh arrays.
 */
export function encodeSample(
  tokenizer: Tokenizer,
  { prompt, completion }: { readonly prompt: string; readonly completion: string },
  seqLen: number,
): EncodedSample {
  const prefix = encodePrompt(tokenizer, prompt);
  const sequence = [...prefix, ...tokenizer.encode(completion, { special: false }), tokenizer.eosId];
  const tokens = Int32Array.from(sequence.slice(0, seqLen));
  const firstScoredRow = Math.min(prefix.length - 1, tokens.length);
  const targets = tokens.map((_, row) => (row < firstScoredRow ? NOT_SCORED : (sequence[row + 1] ?? tokenizer.eosId)));
  return { tokens, targets, firstScoredRow, truncated: sequence.length > seqLen };
}
