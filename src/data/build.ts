// The data set: facts and outside questions -> the rows of train.jsonl, val.jsonl and test.jsonl.
// Pure and seeded: the same source and seed give the same bytes on every machine. Knows no files.

import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { skipN } from 'pure-rand/utils/skipN';
import { createDialogues, type Row, shuffled } from './build-dialogues.js';
import { type Fact, OUTSIDE_TOPIC, type Source } from './build-source.js';
import { REFUSAL } from './template.js';

export const SPLIT_NAMES = ['train', 'val', 'test'] as const;
export type SplitName = (typeof SPLIT_NAMES)[number];
export type Splits = Readonly<Record<SplitName, readonly Row[]>>;

/**
 * Splits by wording: every fact gives one wording to test, every second fact (in file order) one to val, the rest is for
 * training, so that val and test ask what was taught in words never seen. Outside questions are divided whole.
 * Rows of a split are shuffled; every question stands in one split only, alone or as a turn of a dialogue.
 * seed: 32-bit integer.
 */
export function buildSplits({ facts, outside }: Source, seed: number): Splits {
  const rng = xoroshiro128plus(seed);
  skipN(rng, WARM_UP_STEPS);
  const split: Record<SplitName, Row[]> = { train: [], val: [], test: [] };
  facts.forEach((fact, index) => {
    divideFact(fact, index % 2 === 0, rng, split);
  });
  divideOutside(outside, rng, split);
  return {
    train: finishSplit(split.train, facts.length * DIALOGUE_SHARE.train, rng),
    val: finishSplit(split.val, facts.length * DIALOGUE_SHARE.val, rng),
    test: finishSplit(split.test, facts.length * DIALOGUE_SHARE.test, rng),
  };
}

/** JSON Lines: one object a line, a line feed after each. */
export function formatRows(rows: readonly Row[]): string {
  return rows.map(({ prompt, completion, topic }) => `${JSON.stringify({ prompt, completion, topic })}\n`).join('');
}

/** The generator's first numbers are nearly equal for all small seeds; after 32 steps its state is mixed. */
const WARM_UP_STEPS = 32;
/** Of the outside questions; the rest trains. Validation runs often during training, so it gets the smallest share. */
const OUTSIDE_SHARE = { val: 0.05, test: 0.15 };
/** Dialogues of taught questions, per fact. */
const DIALOGUE_SHARE = { train: 1 / 6, val: 1 / 60, test: 1 / 30 };
/** Dialogues with an outside question, per dialogue of taught ones. */
const REFUSED_SHARE = 0.25;

function divideFact(fact: Fact, hasValidation: boolean, rng: RandomGenerator, split: Record<SplitName, Row[]>): void {
  shuffled(fact.wordings, rng).forEach((prompt, index) => {
    const name = index === 0 ? 'test' : index === 1 && hasValidation ? 'val' : 'train';
    split[name].push({ prompt, completion: fact.answer, topic: fact.topic });
  });
}

function divideOutside(outside: readonly string[], rng: RandomGenerator, split: Record<SplitName, Row[]>): void {
  const testEnd = Math.round(outside.length * OUTSIDE_SHARE.test);
  const valEnd = testEnd + Math.round(outside.length * OUTSIDE_SHARE.val);
  shuffled(outside, rng).forEach((prompt, index) => {
    const name = index < testEnd ? 'test' : index < valEnd ? 'val' : 'train';
    split[name].push({ prompt, completion: REFUSAL, topic: OUTSIDE_TOPIC });
  });
}

function finishSplit(rows: readonly Row[], dialogues: number, rng: RandomGenerator): Row[] {
  const counts = { taught: Math.floor(dialogues), refused: Math.ceil(Math.floor(dialogues) * REFUSED_SHARE) };
  return shuffled([...rows, ...createDialogues(rows, counts, rng)], rng);
}
