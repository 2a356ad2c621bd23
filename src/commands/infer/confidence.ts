// How sure the model was of an answer: the decision to withhold it and the JSON form. The lines for people are in confidence-lines.ts.

import { REFUSAL } from '../../data/template.js';
import { type Confidence, confidenceOf, isBelow } from '../../sampling/confidence.js';
import type { GenerateEndEvent, TokenEvent } from '../../sampling/generate.js';
import type { Tokenizer } from '../../tokenizer/tokenizer.js';

/** An answer with all that is known about it. */
export interface JudgedAnswer {
  readonly end: GenerateEndEvent;
  readonly tokens: readonly TokenEvent[];
  /** null for an answer without tokens. */
  readonly confidence: Confidence | null;
  /** The model's answer, or a refusal in its place. */
  readonly text: string;
  readonly isWithheld: boolean;
}

/** Withholds the answer if its mean confidence is below `minConfidence`; 0 = never. A refusal stays one. */
export function judge(end: GenerateEndEvent, tokens: readonly TokenEvent[], minConfidence: number): JudgedAnswer {
  const confidence = confidenceOf(tokens.map(({ probability }) => probability));
  const isWithheld = isBelow(confidence, minConfidence) && end.text !== REFUSAL;
  return { end, tokens, confidence, isWithheld, text: isWithheld ? REFUSAL : end.text };
}

/** Why the model's own answer wasn't shown, or null. */
export function withheldRemark({ isWithheld, confidence }: JudgedAnswer, minConfidence: number): string | null {
  if (!isWithheld) return null;
  const found = confidence === null ? 'no tokens' : `a confidence of ${formatProbability(confidence.mean)}`;
  return `The model's answer was withheld: it has ${found}, ${minConfidence} is needed (--min-confidence).`;
}

/** What `--json` says about it: `confidence` where it was asked for, `withheld` (the model's answer, or null) with a threshold. */
export function confidenceToJson(
  { confidence, tokens, end, isWithheld }: JudgedAnswer,
  tokenizer: Tokenizer,
  { isAsked, minConfidence }: { readonly isAsked: boolean; readonly minConfidence: number },
): object {
  const pieces = tokenizer.pieces(tokens.map(({ id }) => id));
  const details = tokens.map(({ id, probability }, i) => ({ id, token: pieces[i], probability: round(probability) }));
  return {
    ...(minConfidence > 0 ? { withheld: isWithheld ? end.text : null } : {}),
    ...(isAsked
      ? { confidence: confidence && { mean: round(confidence.mean), min: round(confidence.min), tokens: details } }
      : {}),
  };
}

/** Two decimals; below 1 never `1.00`, above 0 never `0.00`. */
export function formatProbability(value: number): string {
  if (value === 0 || value === 1) return value.toFixed(2);
  return Math.min(0.99, Math.max(0.01, value)).toFixed(2);
}

function round(probability: number): number {
  return Math.round(probability * 1e6) / 1e6;
}
