// Two-turn dialogues out of the single questions of one split, so that no wording leaves its split.

import { uniformInt } from 'pure-rand/distribution/uniformInt';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { DIALOGUE_TOPIC, OUTSIDE_TOPIC } from './build-source.js';
import { promptAfterTurns } from './template.js';

/** One line of train.jsonl, val.jsonl or test.jsonl. */
export interface Row {
  readonly prompt: string;
  readonly completion: string;
  readonly topic: string;
}

export interface DialogueCounts {
  /** Two taught questions of one topic. */
  readonly taught: number;
  /** One of the two questions is outside the facts: in turn the second, the first. */
  readonly refused: number;
}

/**
 * Fresh dialogue rows; `rows` are the single questions of the split. No two end in the same answer, refusals apart.
 * Fewer than asked for where the split has too few facts (or too few short ones) to pair.
 */
export function createDialogues(rows: readonly Row[], counts: DialogueCounts, rng: RandomGenerator): Row[] {
  const taught = shuffled(rows.filter(isTaught), rng);
  const outside = shuffled(
    rows.filter((row) => !isTaught(row)),
    rng,
  );
  return [...createTaught(taught, counts.taught, rng), ...createRefused(taught, outside, counts.refused)];
}

/** A shuffled copy (Fisher-Yates). */
export function shuffled<T>(items: readonly T[], rng: RandomGenerator): T[] {
  const copy = [...items];
  for (let last = copy.length - 1; last > 0; last--) {
    const other = uniformInt(rng, 0, last);
    [copy[last], copy[other]] = [copy[other], copy[last]];
  }
  return copy;
}

/** Characters of both questions and both answers. Dialogues of the shipped data have up to 70 tokens, of 128. */
const MAX_DIALOGUE_CHARS = 90;

function createTaught(taught: readonly Row[], count: number, rng: RandomGenerator): Row[] {
  const dialogues: Row[] = [];
  const answered = new Set<string>();
  for (const second of taught) {
    if (dialogues.length === count) break;
    if (answered.has(second.completion)) continue;
    const partners = taught.filter(
      (first) => first.topic === second.topic && first.completion !== second.completion && fits(first, second),
    );
    if (partners.length === 0) continue;
    answered.add(second.completion);
    dialogues.push(joinTurns(partners[uniformInt(rng, 0, partners.length - 1)], second));
  }
  return dialogues;
}

/** Walks both lists from the end that createTaught reaches last, so that the taught turns are new ones where possible. */
function createRefused(taught: readonly Row[], outside: readonly Row[], count: number): Row[] {
  const available = Math.min(count, taught.length, outside.length);
  return Array.from({ length: available }, (_, k) => {
    const known = taught[taught.length - 1 - k];
    return k % 2 === 0 ? joinTurns(known, outside[k]) : joinTurns(outside[k], known);
  }).filter((row) => [...row.prompt, ...row.completion].length <= MAX_DIALOGUE_CHARS);
}

function joinTurns(first: Row, second: Row): Row {
  return {
    prompt: promptAfterTurns([{ question: first.prompt, answer: first.completion }], second.prompt),
    completion: second.completion,
    topic: isTaught(second) ? DIALOGUE_TOPIC : OUTSIDE_TOPIC,
  };
}

function isTaught(row: Row): boolean {
  return row.topic !== OUTSIDE_TOPIC;
}

function fits(first: Row, second: Row): boolean {
  const texts = [first.prompt, first.completion, second.prompt, second.completion];
  return texts.reduce((chars, text) => chars + [...text].length, 0) <= MAX_DIALOGUE_CHARS;
}
