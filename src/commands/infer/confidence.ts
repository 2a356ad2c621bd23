// How sure the model was of an answer: the decision to withhold it, the lines for people and the JSON form.

import { REFUSAL } from '../../data/build.js';
import { type Confidence, confidenceOf, isBelow } from '../../sampling/confidence.js';
import type { GenerateEndEvent, TokenEvent } from '../../sampling/generate.js';
import type { Tokenizer } from '../../tokenizer/tokenizer.js';
import { wrap } from '../../ui/text.js';

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

const WIDTH = 80;
const INDENT = '  ';

/** `confidence 0.93, lowest 0.41` and below it each token with its probability. Lines without their ends, of 80 columns at most. */
export function confidenceLines({ confidence, tokens }: JudgedAnswer, tokenizer: Tokenizer): string[] {
  if (confidence === null) return ['confidence: none, the answer has no tokens'];
  const pieces = tokenizer.pieces(tokens.map(({ id }) => id));
  const parts = tokens.map(({ probability }, i) => `${pieces[i]} ${formatProbability(probability)}`);
  return [
    `confidence ${formatProbability(confidence.mean)}, lowest ${formatProbability(confidence.min)}`,
    ...fillLines(parts, WIDTH - INDENT.length).map((line) => INDENT + line),
  ];
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
function formatProbability(value: number): string {
  if (value === 0 || value === 1) return value.toFixed(2);
  return Math.min(0.99, Math.max(0.01, value)).toFixed(2);
}

/** As many parts to a line as fit, two spaces between them; a part too long for a line is wrapped. */
function fillLines(parts: readonly string[], width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const part of parts) {
    const longer = line === '' ? part : `${line}  ${part}`;
    if (wrap(longer, width).length === 1) {
      line = longer;
    } else {
      if (line !== '') lines.push(line);
      const pieces = wrap(part, width);
      lines.push(...pieces.slice(0, -1));
      line = pieces[pieces.length - 1];
    }
  }
  return [...lines, line];
}

function round(probability: number): number {
  return Math.round(probability * 1e6) / 1e6;
}
