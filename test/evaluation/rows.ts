// Rows as if a model had answered them.

import type { EvaluatedRow } from '../../src/evaluation/evaluate.js';

/** Loss of 1 nat a token, one token a character and the end twice, unless given. Confidence 0.5 unless given. */
export function answered(
  expected: string,
  answer: string,
  more: { copies?: number; topic?: string; confidence?: number | null; nats?: number[]; isTruncated?: boolean } = {},
): EvaluatedRow {
  const { copies = 1, topic, confidence = 0.5, isTruncated = false } = more;
  const row = { prompt: '问', completion: expected, file: 'rows.jsonl', line: 1 };
  return {
    row: topic === undefined ? row : { ...row, topic },
    copies,
    answer,
    confidence: confidence === null ? null : { mean: confidence, min: 0 },
    nats: Float64Array.from(more.nats ?? Array(expected.length + 2).fill(1)),
    isTruncated,
  };
}
