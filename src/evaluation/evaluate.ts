// All rows of a data file, answered one after the other. Identical rows are answered once and count as often as they occur,
// as in the evaluation during training: a file stands for what will be asked, and how often.

import type { Row } from '../data/jsonl.js';
import { normalisePrompt } from '../data/template.js';
import type { InferenceEngine } from '../engine/engine.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { answerRow, type RowAnswer } from './answer-row.js';

export interface EvaluatedRow extends RowAnswer {
  /** The first of its kind. */
  readonly row: Row;
  /** How many rows of the file ask the same and expect the same. */
  readonly copies: number;
}

export interface DistinctRow {
  readonly row: Row;
  readonly copies: number;
}

/** In the order in which they first occur. What the model reads decides: spaces in a prompt make no difference. */
export function mergeCopies(rows: readonly Row[]): DistinctRow[] {
  const byContent = new Map<string, { row: Row; copies: number }>();
  for (const row of rows) {
    const key = JSON.stringify([normalisePrompt(row.prompt), row.completion]);
    const known = byContent.get(key);
    if (known === undefined) byContent.set(key, { row, copies: 1 });
    else known.copies++;
  }
  return [...byContent.values()];
}

/** Yields each row when it is answered; may be left at any time. Throws as answerRow does. */
export async function* evaluateRows(
  engine: InferenceEngine,
  tokenizer: Tokenizer,
  rows: readonly DistinctRow[],
): AsyncGenerator<EvaluatedRow, void> {
  for (const { row, copies } of rows) yield { row, copies, ...(await answerRow(engine, tokenizer, row)) };
}
