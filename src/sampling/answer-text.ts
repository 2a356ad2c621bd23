// What of a growing text may be shown already: nothing that might turn out to be a stop string, no punctuation in front.
// Text in, text out; knows nothing of tokens.

/** Takes the pieces of an answer as they come and gives back what is certain to belong to it. */
export interface AnswerText {
  /** '' while everything new is held back. After a stop string nothing comes any more. */
  push(piece: string): string;
  /** What is still held back; call once, at the end. */
  flush(): string;
  readonly isStopped: boolean;
}

/** Stop strings must not be empty. Of several, the one that is complete first counts; where pieces begin and end doesn't. */
export function createAnswerText(stopStrings: readonly string[]): AnswerText {
  let pending = '';
  let hasBegun = false;
  let isStopped = false;

  const withoutLeading = (text: string) => {
    const rest = hasBegun ? text : trimLeading(text);
    hasBegun ||= rest !== '';
    return rest;
  };
  const release = (length: number) => {
    const text = pending.slice(0, length);
    pending = pending.slice(length);
    return withoutLeading(text);
  };

  return {
    push(piece) {
      if (isStopped) return '';
      pending += piece;
      const stopStart = findStop(pending, stopStrings);
      if (stopStart === null) return release(pending.length - heldBack(pending, stopStrings));
      isStopped = true;
      return release(stopStart);
    },
    flush: () => (isStopped ? '' : release(pending.length)),
    get isStopped() {
      return isStopped;
    },
  };
}

const LEADING_MARKS = new Set(',，。．、：:；;！!？?…');

/** Without the white space and punctuation a small model likes to begin with. */
export function trimLeading(text: string): string {
  let start = 0;
  while (start < text.length && (LEADING_MARKS.has(text[start]) || text[start].trim() === '')) start++;
  return text.slice(start);
}

/** Where the stop string that is complete first begins, or null. */
function findStop(text: string, stopStrings: readonly string[]): number | null {
  let firstEnd = Number.POSITIVE_INFINITY;
  let start: number | null = null;
  for (const stop of stopStrings) {
    const index = text.indexOf(stop);
    if (index < 0) continue;
    const end = index + stop.length;
    if (end < firstEnd || (end === firstEnd && index < start!)) {
      firstEnd = end;
      start = index;
    }
  }
  return start;
}

/** Length of the longest end of `text` that some stop string begins with. */
function heldBack(text: string, stopStrings: readonly string[]): number {
  let longest = 0;
  for (const stop of stopStrings) {
    for (let n = Math.min(stop.length - 1, text.length); n > longest; n--) {
      if (stop.startsWith(text.slice(text.length - n))) {
        longest = n;
        break;
      }
    }
  }
  return longest;
}
