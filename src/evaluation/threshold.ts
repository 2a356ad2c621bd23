// From which confidence on an answer is better given than withheld: tried on rows whose right answers are known. Pure.
// Meant for validation rows; the same choice on test rows would make their figures too good.

import { REFUSAL } from '../data/template.js';
import { isBelow } from '../sampling/confidence.js';
import type { EvaluatedRow } from './evaluate.js';
import { isExact, isRefusal } from './right.js';

/** What would have been said with a threshold; rows, each as often as it occurs. */
export interface ThresholdResult {
  /** Lowest mean confidence of an answer that is given; 0 = every answer is given. */
  readonly threshold: number;
  /** A right answer given, or no answer where the model's would have been wrong. */
  readonly rightDecisions: number;
  readonly taughtExact: number;
  readonly taughtRefused: number;
  readonly outsideRefused: number;
  /** Answers given that are wrong, to questions taught or outside. */
  readonly wrongGiven: number;
}

export interface ThresholdChoice {
  readonly off: ThresholdResult;
  /** The one with the most right decisions; of several the lowest, so that no more is withheld than must be. */
  readonly best: ThresholdResult;
}

/** The rows as they would be answered with a threshold. */
export function withholdBelow(rows: readonly EvaluatedRow[], threshold: number): EvaluatedRow[] {
  return rows.map((row) => (isBelow(row.confidence, threshold) ? { ...row, answer: REFUSAL } : row));
}

const STEPS = 100;

/** Tries 0, 0.01, ... 0.99. */
export function chooseThreshold(rows: readonly EvaluatedRow[]): ThresholdChoice {
  const results = Array.from({ length: STEPS }, (_, i) => tryThreshold(rows, i / STEPS));
  const best = results.reduce((a, b) => (b.rightDecisions > a.rightDecisions ? b : a));
  return { off: results[0], best };
}

export function tryThreshold(rows: readonly EvaluatedRow[], threshold: number): ThresholdResult {
  const counts = { rightDecisions: 0, taughtExact: 0, taughtRefused: 0, outsideRefused: 0, wrongGiven: 0 };
  for (const { row, copies, answer, confidence } of rows) {
    const isOutside = isRefusal(row.completion);
    const saysNothing = isRefusal(answer);
    const isWithheld = !saysNothing && isBelow(confidence, threshold);
    const isRight = isOutside ? saysNothing : isExact(answer, row.completion);
    if (isRight !== isWithheld) counts.rightDecisions += copies;
    if (isOutside && (saysNothing || isWithheld)) counts.outsideRefused += copies;
    if (!isOutside && (saysNothing || isWithheld)) counts.taughtRefused += copies;
    if (!isOutside && isRight && !isWithheld) counts.taughtExact += copies;
    if (!isRight && !saysNothing && !isWithheld) counts.wrongGiven += copies;
  }
  return { threshold, ...counts };
}
