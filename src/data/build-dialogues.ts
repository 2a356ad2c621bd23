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

/** By what the last question is. */
export interface DialogueCounts {
  readonly taught: number;
  readonly refused: number;
}

/**
 * Fresh dialogue rows; `rows` are the single questions of the split. What came before a question must not change its answer, so
 * most first turns have nothing to do with it. Every answer is asked for once before one is asked for again, refusals apart.
 * Fewer than asked for where the split has too few questions (or too few short ones) to pair.
 */
export function createDialogues(rows: readonly Row[], counts: DialogueCounts, random: RandomGenerator): Row[] {
  const taught = shuffled(rows.filter(isTaught), random);
  const outside = shuffled(
    rows.filter((row) => !isTaught(row)),
    random,
  );
  const pick = (kind: FirstTurn, second: Row): Row | undefined => {
    const pool = kind === 'outside' ? outside : taught;
    if (pool.length === 0) return undefined;
    const start = uniformInt(random, 0, pool.length - 1);
    return [...pool.slice(start), ...pool.slice(0, start)].find((first) => canPrecede(first, second, kind));
  };
  return [
    ...pair(onePerAnswer(taught), counts.taught, BEFORE_TAUGHT, pick),
    ...pair(outside, counts.refused, BEFORE_REFUSED, pick),
  ];
}

/** A shuffled copy (Fisher-Yates). */
export function shuffled<T>(items: readonly T[], random: RandomGenerator): T[] {
  const copy = [...items];
  for (let last = copy.length - 1; last > 0; last--) {
    const other = uniformInt(random, 0, last);
    [copy[last], copy[other]] = [copy[other], copy[last]];
  }
  return copy;
}

/** A taught question of the same topic, any taught one, or one outside. */
type FirstTurn = 'topic' | 'any' | 'outside';

/** First turns, in turn. */
const BEFORE_TAUGHT: readonly FirstTurn[] = ['topic', 'any', 'outside', 'any'];
const BEFORE_REFUSED: readonly FirstTurn[] = ['any', 'outside'];
/** Characters of both questions and both answers. Dialogues of the shipped data have up to 70 tokens, of 128. */
const MAX_DIALOGUE_CHARS = 90;

function pair(
  seconds: readonly Row[],
  count: number,
  kinds: readonly FirstTurn[],
  pick: (first: FirstTurn, second: Row) => Row | undefined,
): Row[] {
  const dialogues: Row[] = [];
  for (const second of seconds) {
    if (dialogues.length === count) break;
    const first = pick(kinds[dialogues.length % kinds.length], second);
    if (first !== undefined) dialogues.push(joinTurns(first, second));
  }
  return dialogues;
}

/** The same rows, those first whose answer hasn't come before, then the second ones of each answer, and so on. */
function onePerAnswer(rows: readonly Row[]): Row[] {
  const seen = new Map<string, number>();
  const rounds = rows.map((row) => {
    const round = seen.get(row.completion) ?? 0;
    seen.set(row.completion, round + 1);
    return { row, round };
  });
  return rounds.sort((a, b) => a.round - b.round).map(({ row }) => row);
}

function joinTurns(first: Row, second: Row): Row {
  return {
    prompt: promptAfterTurns([{ question: first.prompt, answer: first.completion }], second.prompt),
    completion: second.completion,
    topic: isTaught(second) ? DIALOGUE_TOPIC : OUTSIDE_TOPIC,
  };
}

function canPrecede(first: Row, second: Row, kind: FirstTurn): boolean {
  if (first.prompt === second.prompt || !fits(first, second)) return false;
  if (kind === 'outside') return true;
  return first.completion !== second.completion && (kind === 'any' || first.topic === second.topic);
}

function isTaught(row: Row): boolean {
  return row.topic !== OUTSIDE_TOPIC;
}

function fits(first: Row, second: Row): boolean {
  const texts = [first.prompt, first.completion, second.prompt, second.completion];
  return texts.reduce((chars, text) => chars + [...text].length, 0) <= MAX_DIALOGUE_CHARS;
}
