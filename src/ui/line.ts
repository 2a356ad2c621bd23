// One line out of parts that matter more or less: the least important ones give way until the rest fits.

import type { Paint, Style } from './paint.js';
import { padEnd, truncate, widthOf } from './text.js';

export interface Part {
  /** A quiet word before the text. */
  readonly label?: string;
  readonly text: string;
  readonly style?: Style;
  /** Who stays when there is no room: the higher, the longer. */
  readonly keep: number;
}

const GAP = 2;

/** Exactly `width` columns: `left` parts from the left edge, `right` parts up to the right edge. */
export function composeLine(paint: Paint, width: number, left: readonly Part[], right: readonly Part[] = []): string {
  const kept = new Set([...left, ...right].filter((part) => part.text !== ''));
  while (kept.size > 1 && widthOfParts([...kept]) > width) {
    kept.delete([...kept].reduce((least, part) => (part.keep < least.keep ? part : least)));
  }
  if (widthOfParts([...kept]) > width) {
    const [only] = kept;
    return padEnd(plain(only), width);
  }
  const leftParts = left.filter((part) => kept.has(part));
  const rightParts = right.filter((part) => kept.has(part));
  const space = width - widthOfParts(leftParts) - widthOfParts(rightParts);
  return join(paint, leftParts) + ' '.repeat(Math.max(0, space)) + join(paint, rightParts);
}

/** The parts as lines of at most `width` columns, in order, as many parts to a line as fit; each line padded. */
export function flowParts(paint: Paint, width: number, parts: readonly Part[]): string[] {
  const lines: Part[][] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    if (last && widthOfParts([...last, part]) <= width) last.push(part);
    else lines.push([part]);
  }
  return lines.map((line) => composeLine(paint, width, line));
}

/** A line of text in one style, cut and padded to exactly `width` columns. */
export function textLine(paint: Paint, width: number, text: string, style?: Style): string {
  const cut = truncate(text, width);
  return paint(style, cut) + ' '.repeat(Math.max(0, width - widthOf(cut)));
}

function widthOfParts(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + widthOf(plain(part)), Math.max(0, parts.length - 1) * GAP);
}

function plain(part: Part): string {
  return part.label === undefined ? part.text : `${part.label} ${part.text}`;
}

function join(paint: Paint, parts: readonly Part[]): string {
  return parts
    .map((part) => (part.label === undefined ? '' : `${paint('dim', part.label)} `) + paint(part.style, part.text))
    .join(' '.repeat(GAP));
}
