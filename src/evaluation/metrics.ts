// Answered rows -> figures. Pure: counts, sums and one division each. A row counts as often as it occurs.

import type { EvaluatedRow } from './evaluate.js';
import { characterOverlap } from './overlap.js';
import { isExact, isRefusal } from './right.js';

export interface Metrics {
  readonly rows: number;
  readonly distinctRows: number;
  /** Rows whose expected answer was cut to the model's sequence: scored as far as they go, left out of bitsPerByte. */
  readonly truncatedRows: number;
  /** Mean cross-entropy over the tokens that training scores, in nats: comparable with the evaluations of a run. */
  readonly loss: number;
  /** e^loss: as unsure as among so many equally likely tokens. */
  readonly perplexity: number;
  /** Bits to write the expected answers with their ends, per byte of their UTF-8: comparable between tokenizers. null without bytes. */
  readonly bitsPerByte: number | null;
  /** Rows answered exactly as expected, refusals included. */
  readonly exact: number;
  /** Mean characterOverlap, 0 to 1. */
  readonly overlap: number;
  readonly taught: TaughtMetrics;
  readonly outside: OutsideMetrics;
}

/** Rows that expect an answer. */
export interface TaughtMetrics {
  readonly rows: number;
  readonly exact: number;
  /** Refused by mistake. */
  readonly refused: number;
}

/** Rows that expect a refusal. */
export interface OutsideMetrics {
  readonly rows: number;
  readonly refused: number;
}

/** At least one row. */
export function measure(rows: readonly EvaluatedRow[]): Metrics {
  const taught = rows.filter(({ row }) => !isRefusal(row.completion));
  const outside = rows.filter(({ row }) => isRefusal(row.completion));
  const loss = sum(rows, ({ nats }) => total(nats)) / sum(rows, ({ nats }) => nats.length);
  return {
    rows: sum(rows, () => 1),
    distinctRows: rows.length,
    truncatedRows: sum(rows, ({ isTruncated }) => Number(isTruncated)),
    loss,
    perplexity: Math.exp(loss),
    bitsPerByte: bitsPerByte(rows),
    exact: sum(rows, isRight),
    overlap: sum(rows, ({ answer, row }) => characterOverlap(answer, row.completion)) / sum(rows, () => 1),
    taught: { rows: sum(taught, () => 1), exact: sum(taught, isRight), refused: sum(taught, isRefused) },
    outside: { rows: sum(outside, () => 1), refused: sum(outside, isRefused) },
  };
}

export interface TopicMetrics extends Metrics {
  /** null: of the rows whose file names none. */
  readonly topic: string | null;
}

/** By name, rows without a topic last. */
export function measureTopics(rows: readonly EvaluatedRow[]): TopicMetrics[] {
  const topics = new Map<string | null, EvaluatedRow[]>();
  for (const evaluated of rows) {
    const topic = evaluated.row.topic ?? null;
    const known = topics.get(topic);
    if (known === undefined) topics.set(topic, [evaluated]);
    else known.push(evaluated);
  }
  const names = [...topics.keys()].sort((a, b) => {
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return a < b ? -1 : 1;
  });
  return names.map((topic) => ({ topic, ...measure(topics.get(topic) ?? []) }));
}

/** Rows with another answer than the expected one; for a question outside any refusal is right. */
export function wrongRows(rows: readonly EvaluatedRow[]): EvaluatedRow[] {
  return rows.filter((evaluated) => isRight(evaluated) === 0);
}

function isRight({ answer, row }: EvaluatedRow): number {
  const isSettled = isRefusal(row.completion) ? isRefusal(answer) : isExact(answer, row.completion);
  return Number(isSettled);
}

function isRefused({ answer }: EvaluatedRow): number {
  return Number(isRefusal(answer));
}

/** Without the last scored token of each row, which is the end once more and part of no answer. */
function bitsPerByte(rows: readonly EvaluatedRow[]): number | null {
  const whole = rows.filter(({ isTruncated }) => !isTruncated);
  const bytes = sum(whole, ({ row }) => Buffer.byteLength(row.completion));
  if (bytes === 0) return null;
  return sum(whole, ({ nats }) => total(nats.subarray(0, -1))) / Math.LN2 / bytes;
}

function sum(rows: readonly EvaluatedRow[], value: (row: EvaluatedRow) => number): number {
  return rows.reduce((before, row) => before + row.copies * value(row), 0);
}

function total(values: Float64Array): number {
  return values.reduce((before, value) => before + value, 0);
}
