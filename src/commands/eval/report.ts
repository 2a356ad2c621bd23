// What is said about one checkpoint on one file: the report for people, 80 columns wide, and the JSON object.

import type { EvaluatedRow } from '../../evaluation/evaluate.js';
import { type Metrics, measure, measureTopics, type TopicMetrics, wrongRows } from '../../evaluation/metrics.js';
import { formatCount, formatLoss, formatMs } from '../../ui/format.js';
import type { Paint } from '../../ui/paint.js';
import { clean, padEnd, padStart, wrap } from '../../ui/text.js';

export interface Evaluation {
  readonly checkpoint: string;
  readonly data: string;
  /** Rows in the file; fewer are evaluated with --limit. */
  readonly rowsInFile: number;
  readonly rows: readonly EvaluatedRow[];
  readonly elapsedMs: number;
  readonly minConfidence: number;
}

const WIDTH = 80;

/** Lines, each ended. */
export function formatReport(evaluation: Evaluation, paint: Paint, maxWrong: number): string {
  const metrics = measure(evaluation.rows);
  const topics = measureTopics(evaluation.rows);
  const hasTopics = topics.some(({ topic }) => topic !== null);
  return [
    ...headline(evaluation, metrics).map((line) => paint('bold', line)),
    '',
    `  loss ${formatLoss(metrics.loss)}, perplexity ${formatPerplexity(metrics.perplexity)}${bitsText(metrics)}`,
    ...decisions(metrics),
    ...(hasTopics ? ['', ...topicTable(topics, metrics, paint)] : []),
    ...wrongAnswers(wrongRows(evaluation.rows), maxWrong, paint),
  ]
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

function headline({ checkpoint, data, rowsInFile, elapsedMs, minConfidence }: Evaluation, metrics: Metrics): string[] {
  const drawn = metrics.rows < rowsInFile ? ` of ${formatCount(rowsInFile)}` : '';
  const distinct = metrics.distinctRows < metrics.rows ? `, ${formatCount(metrics.distinctRows)} of them distinct` : '';
  const truncated = metrics.truncatedRows > 0 ? `, ${formatCount(metrics.truncatedRows)} too long and cut` : '';
  const threshold = minConfidence > 0 ? `, answers below a confidence of ${minConfidence} withheld` : '';
  const rows = `${formatCount(metrics.rows)}${drawn} rows${distinct}${truncated}`;
  return wrap(`${clean(checkpoint)} on ${clean(data)}: ${rows}, ${formatMs(elapsedMs)}${threshold}`, WIDTH);
}

function bitsText({ bitsPerByte }: Metrics): string {
  return bitsPerByte === null ? '' : `, ${bitsPerByte.toFixed(4)} bits per byte of the answers`;
}

const LABEL_WIDTH = 38;

/** The counts that matter; what a file has no rows for is left out. */
function decisions({ taught, outside, overlap }: Metrics): string[] {
  const line = (label: string, part: number, whole: number) =>
    `  ${label.padEnd(LABEL_WIDTH)}${`${formatCount(part)} of ${formatCount(whole)}`.padStart(16)}  ${percent(part, whole)}`;
  return [
    ...(taught.rows > 0
      ? [
          line('taught questions answered exactly', taught.exact, taught.rows),
          line('taught questions refused by mistake', taught.refused, taught.rows),
        ]
      : []),
    ...(outside.rows > 0 ? [line('questions outside refused', outside.refused, outside.rows)] : []),
    `  ${'character overlap (ROUGE-L), mean'.padEnd(LABEL_WIDTH + 16)}  ${percent(overlap, 1)}`,
  ];
}

const COLUMNS = ['rows', 'exact', '', 'refused', 'overlap', 'loss'];
const COLUMN_WIDTHS = [8, 8, 9, 9, 10, 9];
const TOPIC_WIDTH = WIDTH - 2 - COLUMN_WIDTHS.reduce((sum, width) => sum + width, 0);

function topicTable(topics: readonly TopicMetrics[], all: Metrics, paint: Paint): string[] {
  const row = (name: string, cells: readonly string[]) =>
    `  ${padEnd(name, TOPIC_WIDTH)}${cells.map((cell, i) => padStart(cell, COLUMN_WIDTHS[i])).join('')}`;
  const cells = (metrics: Metrics) => [
    formatCount(metrics.rows),
    formatCount(metrics.exact),
    percent(metrics.exact, metrics.rows),
    formatCount(metrics.taught.refused + metrics.outside.refused),
    percent(metrics.overlap, 1),
    formatLoss(metrics.loss),
  ];
  return [
    paint('dim', row('topic', COLUMNS)),
    ...topics.map((topic) => row(topic.topic === null ? '(none)' : clean(topic.topic), cells(topic))),
    row('all', cells(all)),
  ];
}

function wrongAnswers(wrong: readonly EvaluatedRow[], most: number, paint: Paint): string[] {
  if (wrong.length === 0 || most === 0) return [];
  const isPart = most < wrong.length;
  const title = isPart
    ? `Wrong answers, ${most} of ${formatCount(wrong.length)} (--wrong ${wrong.length} shows all):`
    : `Wrong answers (${wrong.length}):`;
  return ['', title, ...wrong.slice(0, most).flatMap((row) => ['', ...wrongAnswer(row, paint)])];
}

function wrongAnswer({ row, copies, answer, confidence }: EvaluatedRow, paint: Paint): string[] {
  const times = copies === 1 ? '' : ` (${copies} times)`;
  const sure = confidence === null ? '' : ` (confidence ${confidence.mean.toFixed(2)})`;
  return [
    ...labelled('asked', clean(row.prompt) + times, paint),
    ...labelled('expected', clean(row.completion), paint),
    ...labelled('answered', (clean(answer) || '(nothing)') + sure, paint),
  ];
}

const WRONG_LABEL_WIDTH = 12;

function labelled(label: string, text: string, paint: Paint): string[] {
  return wrap(text, WIDTH - WRONG_LABEL_WIDTH).map(
    (line, i) => paint('dim', `  ${(i === 0 ? label : '').padEnd(WRONG_LABEL_WIDTH - 2)}`) + line,
  );
}

/** Counts are rows, shares 0 to 1, losses nats; overlap is ROUGE-L over characters. */
export function reportToJson(evaluation: Evaluation): object {
  const { checkpoint, data, rowsInFile, rows, elapsedMs, minConfidence } = evaluation;
  return {
    checkpoint,
    data,
    rows_in_file: rowsInFile,
    min_confidence: minConfidence,
    elapsed_ms: Math.round(elapsedMs),
    ...metricsToJson(measure(rows)),
    topics: measureTopics(rows).map(({ topic, ...metrics }) => ({ topic, ...metricsToJson(metrics) })),
    wrong: wrongRows(rows).map(({ row, copies, answer, confidence }) => ({
      line: row.line,
      topic: row.topic ?? null,
      copies,
      prompt: row.prompt,
      expected: row.completion,
      answer,
      confidence: confidence?.mean ?? null,
    })),
  };
}

function metricsToJson(metrics: Metrics): object {
  return {
    rows: metrics.rows,
    distinct_rows: metrics.distinctRows,
    truncated_rows: metrics.truncatedRows,
    loss: metrics.loss,
    perplexity: Number.isFinite(metrics.perplexity) ? metrics.perplexity : null,
    bits_per_byte: metrics.bitsPerByte,
    exact: metrics.exact,
    exact_share: metrics.exact / metrics.rows,
    overlap: metrics.overlap,
    taught: metrics.taught,
    outside: metrics.outside,
  };
}

function formatPerplexity(value: number): string {
  return value < 1000 ? value.toFixed(2) : value.toExponential(2);
}

/** One decimal; 100.0 % only when it is all. */
function percent(part: number, whole: number): string {
  if (part >= whole) return '100.0 %';
  return `${Math.min(99.9, (part / whole) * 100)
    .toFixed(1)
    .padStart(5)} %`;
}
