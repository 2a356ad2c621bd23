// The data set: facts and outside questions -> the rows of train.jsonl, val.jsonl and test.jsonl.
// Pure and seeded: the same source and seed give the same bytes on every machine. Knows no files.

import { createHash } from 'node:crypto';
import { createRandom } from '../random.js';
import { createDialogues, type DialogueCounts, type Row, shuffled } from './build-dialogues.js';
import {
  type Fact,
  OUTSIDE_TOPIC,
  type OutsideQuestion,
  questionKey,
  type Source,
  SPLIT_NAMES,
  type SplitName,
} from './build-source.js';
import { REFUSAL } from './template.js';

export type Splits = Readonly<Record<SplitName, readonly Row[]>>;

/**
 * Splits by wording: val and test ask what was taught in words that training never sees. Where the source names the split of a
 * question, it goes there; elsewhere a hash of seed and question decides, so that adding lines moves no other line.
 * Dialogues are made within a split, so no question stands in two of them. Rows of a split are shuffled.
 * seed: 32-bit integer.
 */
export function buildSplits({ facts, outside }: Source, seed: number): Splits {
  const split: Record<SplitName, Row[]> = { train: [], val: [], test: [] };
  for (const fact of facts) {
    for (const [prompt, name] of divideFact(fact, seed)) {
      split[name].push({ prompt, completion: fact.answer, topic: fact.topic });
    }
  }
  for (const question of outside) {
    const name = question.split ?? drawOutsideSplit(question, seed);
    split[name].push({ prompt: question.prompt, completion: REFUSAL, topic: OUTSIDE_TOPIC });
  }
  return {
    train: finishSplit(split, 'train', facts.length, seed),
    val: finishSplit(split, 'val', facts.length, seed),
    test: finishSplit(split, 'test', facts.length, seed),
  };
}

/** JSON Lines: one object a line, a line feed after each. */
export function formatRows(rows: readonly Row[]): string {
  return rows.map(({ prompt, completion, topic }) => `${JSON.stringify({ prompt, completion, topic })}\n`).join('');
}

/** Of the outside questions without a split of their own; the rest trains. */
const OUTSIDE_SHARE = { val: 0.05, test: 0.15 };
/** Dialogues per fact, by what their last question is. */
const DIALOGUE_SHARE: Readonly<Record<SplitName, DialogueCounts>> = {
  train: { taught: 1, refused: 1 / 4 },
  val: { taught: 1 / 24, refused: 1 / 48 },
  test: { taught: 1 / 8, refused: 1 / 24 },
};

/** One wording to test, one of every second fact to val, the lowest hashes first, unless the fact itself names them. */
function divideFact({ id, wordings, val, test }: Fact, seed: number): [string, SplitName][] {
  const named = val.length + test.length > 0;
  const byHash = [...wordings].sort((a, b) => hashShare(seed, a) - hashShare(seed, b));
  const hasValidation = hashShare(seed, id) < 0.5;
  return [
    ...wordings.map((text): [string, SplitName] => {
      if (named) return [text, 'train'];
      return [text, text === byHash[0] ? 'test' : hasValidation && text === byHash[1] ? 'val' : 'train'];
    }),
    ...val.map((text): [string, SplitName] => [text, 'val']),
    ...test.map((text): [string, SplitName] => [text, 'test']),
  ];
}

function drawOutsideSplit({ prompt }: OutsideQuestion, seed: number): SplitName {
  const share = hashShare(seed, prompt);
  if (share < OUTSIDE_SHARE.test) return 'test';
  return share < OUTSIDE_SHARE.test + OUTSIDE_SHARE.val ? 'val' : 'train';
}

/** A number from 0 up to 1 that depends on the seed and on what makes a question itself, and on nothing else. */
function hashShare(seed: number, question: string): number {
  const digest = createHash('sha256')
    .update(`${seed}\n${questionKey(question)}`)
    .digest();
  return digest.readUIntBE(0, 6) / 2 ** 48;
}

/** A generator of its own for each split: what is added to one doesn't change the others. */
function finishSplit(split: Readonly<Record<SplitName, Row[]>>, name: SplitName, facts: number, seed: number): Row[] {
  const random = createRandom((seed ^ Math.imul(SPLIT_NAMES.indexOf(name) + 1, 0x9e3779b1)) | 0);
  const { taught, refused } = DIALOGUE_SHARE[name];
  const counts = { taught: Math.floor(facts * taught), refused: Math.floor(facts * refused) };
  return shuffled([...split[name], ...createDialogues(split[name], counts, random)], random);
}
