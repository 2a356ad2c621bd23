// What `--confidence` shows below an answer. Apart from confidence.ts, since measuring text takes long to load.

import type { Tokenizer } from '../../tokenizer/tokenizer.js';
import { wrap } from '../../ui/text.js';
import { formatProbability, type JudgedAnswer } from './confidence.js';

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
