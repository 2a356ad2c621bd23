// What a plain lookup without any model gets on the shipped data: the bar that a trained model has to clear.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadRows, type Row } from '../../src/data/jsonl.js';
import { REFUSAL } from '../../src/data/template.js';
import { repoRoot } from '../helpers/paths.js';

/** Pairs of neighbouring characters; each counts once. */
function bigrams(text: string): Set<string> {
  const chars = [...text.replace(/[\s？?。]/gu, '')];
  return new Set(chars.slice(1).map((char, k) => chars[k] + char));
}

/** Dice 1945: twice the shared bigrams over the bigrams of both. */
function dice(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let shared = 0;
  for (const pair of a) if (b.has(pair)) shared++;
  return a.size + b.size === 0 ? 0 : (2 * shared) / (a.size + b.size);
}

/** The answer of the training row whose question is most like this one; the first of equals. */
function lookUp(prompt: string, training: readonly { answer: string; pairs: ReadonlySet<string> }[]): string {
  const pairs = bigrams(prompt);
  let best = { score: -1, answer: '' };
  for (const row of training) {
    const score = dice(pairs, row.pairs);
    if (score > best.score) best = { score, answer: row.answer };
  }
  return best.answer;
}

function percent(rows: readonly Row[], isCounted: (row: Row) => boolean): number {
  return Math.round((100 * rows.filter(isCounted).length) / rows.length);
}

test('shipped data: data/README.md says what a lookup of the nearest training wording gets', () => {
  const read = (name: string): readonly Row[] => loadRows(join(repoRoot, 'data', name));
  const training = read('train.jsonl').map(({ prompt, completion }) => ({
    answer: completion,
    pairs: bigrams(prompt),
  }));
  const questions = read('test.jsonl').filter(({ prompt }) => !prompt.includes('\n'));
  const given = new Map(questions.map((row) => [row, lookUp(row.prompt, training)]));
  const rows = [...given.keys()];
  const taught = rows.filter(({ completion }) => completion !== REFUSAL);
  const outside = rows.filter(({ completion }) => completion === REFUSAL);
  const exact = percent(taught, (row) => given.get(row) === row.completion);
  const refused = percent(outside, (row) => given.get(row) === REFUSAL);
  const mistaken = percent(taught, (row) => given.get(row) === REFUSAL);
  const text = readFileSync(join(repoRoot, 'data/README.md'), 'utf8').replace(/\s+/g, ' ');
  const claim = `answers ${exact} % of the taught test questions, refuses ${refused} % of the outside ones, and refuses ${mistaken} % of the taught ones by mistake`;
  assert.ok(text.includes(claim), `expected in data/README.md: ${claim}`);
});
