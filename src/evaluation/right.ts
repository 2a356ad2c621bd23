// When an answer is right, and when it is a refusal. Texts only.

import { REFUSAL } from '../data/template.js';
import { trimLeading } from '../sampling/answer-text.js';

/** The same characters, up to white space around them and the marks in front that answers are always shown without. */
export function isExact(answer: string, expected: string): boolean {
  return trimLeading(answer).trimEnd() === trimLeading(expected).trimEnd();
}

/** Whether a text says `不知道。`, with whatever punctuation at its end or none. As an expected answer: a question outside. */
export function isRefusal(text: string): boolean {
  return withoutEnd(trimLeading(text)) === withoutEnd(REFUSAL);
}

function withoutEnd(text: string): string {
  return text.replace(/[\s。．.！!～~…]+$/u, '');
}
