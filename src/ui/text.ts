// Text by the columns it takes on a terminal: a Chinese character takes two. Cutting, padding, wrapping and cleaning.
// Everything here is free of colour; paint comes after.

import stringWidth from 'string-width';

const segmenter = new Intl.Segmenter();
/** What the dashboard itself is made of, all one column wide: saves most texts the slow way by Unicode's tables. */
const ONE_COLUMN_EACH = /^[ -~·…─-▟✓✗●⠀-⣿]*$/;

/** Widths of the other texts, which hardly change from frame to frame: prompts, answers, keys. Emptied when full. */
const knownWidths = new Map<string, number>();
const MOST_KNOWN_WIDTHS = 1000;

/** Columns the text takes; escape sequences for colour take none. */
export function widthOf(text: string): number {
  if (ONE_COLUMN_EACH.test(text)) return text.length;
  let width = knownWidths.get(text);
  if (width === undefined) {
    width = stringWidth(text);
    if (knownWidths.size >= MOST_KNOWN_WIDTHS) knownWidths.clear();
    knownWidths.set(text, width);
  }
  return width;
}

/** At most `width` columns; what is cut ends in an ellipsis. */
export function truncate(text: string, width: number): string {
  if (width <= 0) return '';
  if (widthOf(text) <= width) return text;
  return `${takeColumns(text, width - 1)}…`;
}

/** The same, with the beginning cut: for paths, whose end tells them apart. */
export function truncateStart(text: string, width: number): string {
  return widthOf(text) <= width ? text : `…${keepEnd(text, width - 1)}`;
}

/** At most `width` columns from the end of the text: what one sees while typing. */
export function keepEnd(text: string, width: number): string {
  const segments = [...segmenter.segment(text)].map(({ segment }) => segment);
  let used = 0;
  let first = segments.length;
  while (first > 0 && used + widthOf(segments[first - 1]) <= width) used += widthOf(segments[--first]);
  return segments.slice(first).join('');
}

/** Exactly `width` columns, text at the left. */
export function padEnd(text: string, width: number): string {
  const cut = truncate(text, width);
  return cut + ' '.repeat(Math.max(0, width - widthOf(cut)));
}

/** Exactly `width` columns, text at the right. */
export function padStart(text: string, width: number): string {
  const cut = truncate(text, width);
  return ' '.repeat(Math.max(0, width - widthOf(cut))) + cut;
}

/**
 * Lines of at most `width` columns. Breaks at spaces, and between any two characters where a word is longer than a line,
 * as Chinese text always may. At most `maxLines`, the last one with an ellipsis if text is left over.
 */
export function wrap(text: string, width: number, maxLines = Number.POSITIVE_INFINITY): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest !== '' && lines.length < maxLines - 1 && widthOf(rest) > width) {
    const line = breakLine(rest, width);
    lines.push(line.trimEnd());
    rest = rest.slice(line.length).trimStart();
  }
  if (rest !== '' || lines.length === 0) lines.push(truncate(rest, width));
  return lines;
}

/**
 * Text that comes from data or from the model, made safe to show on one line: no control characters (an escape
 * sequence in an answer must not reach the terminal), no invisible ones, whitespace as single spaces.
 */
export function clean(text: string): string {
  return text
    .normalize('NFC')
    .replace(/[\p{Cf}\p{Variation_Selector}]/gu, '')
    .replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
}

/** The text without its last character, as a reader counts characters. */
export function dropLastCharacter(text: string): string {
  const segments = [...segmenter.segment(text)];
  return text.slice(0, segments.at(-1)?.index ?? 0);
}

function takeColumns(text: string, width: number): string {
  let used = 0;
  let end = 0;
  for (const { segment, index } of segmenter.segment(text)) {
    used += widthOf(segment);
    if (used > width) break;
    end = index + segment.length;
  }
  return text.slice(0, end);
}

/** The beginning of the text that fits; never empty, so that wrapping always ends. */
function breakLine(text: string, width: number): string {
  const fitting = takeColumns(text, width) || [...segmenter.segment(text)][0].segment;
  if (text[fitting.length] === ' ') return fitting;
  const space = fitting.lastIndexOf(' ');
  return space > fitting.length / 2 ? fitting.slice(0, space + 1) : fitting;
}
