// `--choose-confidence`: what the chosen threshold would change, for people and as JSON.

import type { ThresholdChoice, ThresholdResult } from '../../evaluation/threshold.js';
import { formatCount } from '../../ui/format.js';
import { clean } from '../../ui/text.js';

export interface ThresholdReport extends ThresholdChoice {
  readonly checkpoint: string;
  readonly data: string;
  readonly rows: number;
  readonly taughtRows: number;
  readonly outsideRows: number;
}

const LABEL_WIDTH = 40;
const NUMBER_WIDTH = 9;

/** Lines, each ended. */
export function formatThreshold(report: ThresholdReport): string {
  const { off, best, rows, taughtRows, outsideRows } = report;
  const line = (label: string, cells: readonly string[], whole: number | null) =>
    `  ${label.padEnd(LABEL_WIDTH)}${cells.map((cell) => cell.padStart(NUMBER_WIDTH)).join('')}${whole === null ? '' : `   of ${formatCount(whole)}`}\n`;
  const results = best.threshold === 0 ? [off] : [off, best];
  const counts = (label: string, key: keyof ThresholdResult, whole: number) =>
    line(
      label,
      results.map((result) => formatCount(result[key])),
      whole,
    );
  return (
    `${clean(report.checkpoint)} on ${clean(report.data)}: ${formatCount(rows)} rows\n\n` +
    line(
      '--min-confidence',
      results.map(({ threshold }) => (threshold === 0 ? 'off' : threshold.toFixed(2))),
      null,
    ) +
    counts('right decisions', 'rightDecisions', rows) +
    counts('taught questions answered exactly', 'taughtExact', taughtRows) +
    counts('taught questions refused', 'taughtRefused', taughtRows) +
    counts('questions outside refused', 'outsideRefused', outsideRows) +
    counts('wrong answers given', 'wrongGiven', rows) +
    `\n${advice(report)}`
  );
}

function advice({ best, checkpoint }: ThresholdReport): string {
  if (best.threshold === 0) return 'No threshold decides better than none.\n';
  return (
    'Right: a right answer given, or none where it would have been wrong.\n' +
    `  npx gpt-loom infer --ckpt ${checkpoint} --min_confidence ${best.threshold}\n`
  );
}

/** Counts are rows. */
export function thresholdToJson(report: ThresholdReport): object {
  const result = (found: ThresholdResult) => ({
    min_confidence: found.threshold,
    right_decisions: found.rightDecisions,
    taught_exact: found.taughtExact,
    taught_refused: found.taughtRefused,
    outside_refused: found.outsideRefused,
    wrong_given: found.wrongGiven,
  });
  return {
    checkpoint: report.checkpoint,
    data: report.data,
    rows: report.rows,
    taught_rows: report.taughtRows,
    outside_rows: report.outsideRows,
    off: result(report.off),
    best: result(report.best),
  };
}
