// The figures of a benchmark as lines for people, at most 80 columns wide where no name is longer. Pure.

import type {
  BenchReport,
  KernelFigures,
  MachineFacts,
  PrecisionUse,
  ProductFigures,
  ProductSet,
  Speed,
  StepFigures,
  StepPhase,
} from '../../bench/report.js';
import { formatCount, formatCounted, formatPercent, NOTHING } from '../../ui/format.js';
import type { Paint } from '../../ui/paint.js';
import { padEnd, padStart, widthOf, wrap } from '../../ui/text.js';

const WIDTH = 80;

/** Titles first; cells of a column have one width, the first column stands left and the others right. */
type Table = readonly (readonly string[])[];

interface Section {
  /** A line above the titles; null where there is nothing to tell apart. */
  readonly caption: string | null;
  readonly table: Table;
}

export function reportLines(report: BenchReport, paint: Paint): string[] {
  const sections = [
    plain(peakTable(report)),
    ...(report.kernels === null ? [] : [...productSections(report.kernels), plain(otherTable(report.kernels))]),
    ...stepSections(report),
    plain(inferenceTable(report)),
  ];
  return [
    ...headLines(report),
    ...sections.flatMap(({ caption, table }) => [
      '',
      ...(caption === null ? [] : [paint('bold', caption)]),
      ...tableLines(table, paint),
    ]),
    '',
    ...wrap(noteFor(report), WIDTH).map((line) => paint('dim', line)),
    ...report.warnings.flatMap((warning) => wrap(`! ${warning}`, WIDTH).map((line) => paint('yellow', line))),
  ];
}

function plain(table: Table): Section {
  return { caption: null, table };
}

/** Of what is measured in several precisions, or in another one than FP32. */
function captionFor(
  what: string,
  uses: readonly PrecisionUse[],
  { precision, isEmulated }: PrecisionUse,
): string | null {
  if (uses.every((use) => use.precision === 'fp32')) return null;
  return `${what} in ${precision.toUpperCase()}${isEmulated ? ', emulated' : ''}`;
}

/** Explains what occurs. */
function noteFor({ steps, kernels, engine }: BenchReport): string {
  return [
    'of peak: useful operations (a multiply-add is two) against what the cores in use can do at most.',
    ...(kernels === null ? [] : ['with packing: what training packs once a step is packed for every product.']),
    ...(steps.some(({ mergeDuplicates }) => mergeDuplicates)
      ? ['merged: identical samples of a batch are computed once.']
      : []),
    ...(engine.precisions.some(({ isEmulated }) => isEmulated)
      ? ['emulated: without BF16 instructions, which this CPU lacks; slow, and no measure of what BF16 is worth.']
      : []),
    'Peaks and kernels are the best of several rounds, steps and answers medians.',
  ].join(' ');
}

function headLines({ date, isQuick, machine, engine, model }: BenchReport): string[] {
  const { name, detail } = engine;
  const precisions = engine.precisions.map(
    ({ precision, isEmulated }) => precision + (isEmulated ? ' (emulated)' : ''),
  );
  const { nLayer, nHead, nEmbd, vocabSize } = model;
  const shape = `${formatCounted(nLayer, 'layer')}, ${formatCounted(nHead, 'head')}, ${formatCounted(nEmbd, 'channel')}, ${formatCounted(vocabSize, 'token')}`;
  return [
    `gpt-loom bench${isQuick ? ' --quick' : ''}, ${date.slice(0, 16).replace('T', ' ')} UTC`,
    `machine  ${machine.cpu}, ${machine.physicalCores} physical of ${formatCounted(machine.logicalCores, 'logical core')}`,
    `system   ${machine.platform}, Node ${machine.node}`,
    `engine   ${name} ${detail} ${precisions.join(' and ')}`,
    `model    ${formatCount(model.parameters)} parameters: ${shape}`,
  ];
}

function peakTable({ peaks, memory, machine }: BenchReport): Table {
  const threads = Math.max(peaks.fp32?.threads ?? 1, memory?.threads ?? 1);
  const pair = (name: string, unit: string, values: { oneThread: number; allThreads: number }) =>
    [name, values.oneThread, ...(threads > 1 ? [values.allThreads] : [])].map((value) =>
      typeof value === 'string' ? value : `${value.toFixed(1)} ${unit}`,
    );
  const peak = (name: string, precision: 'fp32' | 'bf16') => {
    const figures = peaks[precision];
    return figures === null ? [name, absence(precision, machine)] : pair(name, 'GFLOPS', figures);
  };
  return [
    ['at most', '1 thread', ...(threads > 1 ? [`${threads} threads`] : [])],
    peak('FP32 multiply-add', 'fp32'),
    peak('BF16 multiply-add', 'bf16'),
    ...(memory === null
      ? []
      : [
          pair(`memory, read (${megabytes(memory.bytes)})`, 'GB/s', memory.read),
          pair('memory, triad (2 read, 1 written)', 'GB/s', memory.triad),
        ]),
  ];
}

const BF16_FEATURES = ['avx512_bf16', 'bf16'];

/** Why there is no such peak. */
function absence(precision: 'fp32' | 'bf16', { features }: MachineFacts): string {
  if (precision === 'fp32') return 'needs the native engine';
  return features.some((name) => BF16_FEATURES.includes(name)) ? 'no kernels for it' : 'not available on this CPU';
}

function productSections({ rows, products }: KernelFigures): Section[] {
  return products.map((set) => ({ caption: captionFor('products', products, set), table: productTable(rows, set) }));
}

function productTable(rows: number, { matrices, all }: ProductSet): Table {
  const line = (name: string, size: string, form: string, alone: Speed, withPacking: Speed) => [
    name,
    size,
    form,
    ...speedCells(alone),
    ...speedCells(withPacking),
  ];
  const forms = (product: ProductFigures) =>
    (['forward', 'dX', 'dW'] as const).map((form, i) =>
      line(
        i === 0 ? product.name : '',
        i === 0 ? `${product.outputs} x ${product.inputs}` : '',
        form,
        product[form].alone,
        product[form].withPacking,
      ),
    );
  return [
    [`at ${formatCounted(rows, 'token')}`, 'product', '', 'GFLOPS', 'of peak', 'with packing', 'of peak'],
    ...matrices.flatMap(forms),
    line('all of a step', '', '', all.alone, all.withPacking),
  ];
}

function otherTable({ others }: KernelFigures): Table {
  return [
    ['other kernels, 1 thread', 'ms', 'GFLOPS', 'of peak', 'GB/s'],
    ...others.map(({ name, ms, gflops, share, gbPerSec }) => [
      name,
      ms < 100 ? ms.toPrecision(3) : formatCount(ms),
      gflops === null ? '' : gflops.toFixed(1),
      gflops === null ? '' : shareText(share),
      gbPerSec === null ? '' : gbPerSec.toFixed(1),
    ]),
  ];
}

function speedCells({ gflops, share }: Speed): string[] {
  return [gflops.toFixed(1), shareText(share)];
}

const SHOWN_PHASES: readonly StepPhase[] = ['forward', 'backward', 'reduce', 'update', 'wait'];

function stepSections({ steps, engine: { precisions } }: BenchReport): Section[] {
  return precisions.flatMap((use) =>
    stepTables(steps.filter(({ precision }) => precision === use.precision)).map((table) => ({
      caption: captionFor('steps', precisions, use),
      table,
    })),
  );
}

/** One table for each way of treating duplicates. */
function stepTables(steps: readonly StepFigures[]): Table[] {
  const settings = [...new Set(steps.map(({ mergeDuplicates }) => mergeDuplicates))];
  return settings.map((isMerged) => {
    const title = settings.length === 1 ? 'one step' : isMerged ? 'merged' : 'not merged';
    return [
      [title, 'ms', ...SHOWN_PHASES, 'tok/s', 'of peak', 'vs 1'],
      ...steps
        .filter(({ mergeDuplicates }) => mergeDuplicates === isMerged)
        .map((figures) => [
          formatCounted(figures.workers, 'worker'),
          milliseconds(figures.medianMs),
          ...SHOWN_PHASES.map((phase) => milliseconds(figures.phases[phase])),
          formatCount(figures.tokensPerSec),
          shareText(figures.share),
          figures.speedUp.toFixed(2),
        ]),
    ];
  });
}

function inferenceTable({ inference, firstTokenMs }: BenchReport): Table {
  const [{ promptTokens, answerTokens }] = inference;
  return [
    ['answers, tokens/s', `prompt of ${promptTokens}`, `answer of ${answerTokens}`],
    ...inference.map(({ weights, prefillTokensPerSec, decodeTokensPerSec }) => [
      `${weights} weights`,
      formatCount(prefillTokensPerSec),
      formatCount(decodeTokensPerSec),
    ]),
    ['start of infer to first token', `${formatCount(firstTokenMs)} ms`],
  ];
}

/** A cell alone in its row, besides the name, may be as wide as all columns. */
function tableLines(table: Table, paint: Paint): string[] {
  const full = table.filter((row) => row.length === table[0].length);
  const widths = table[0].map((_, column) => Math.max(...full.map((row) => widthOf(row[column]))));
  widths[0] = Math.max(...table.map(([name]) => widthOf(name)));
  return table.map((row, i) => {
    const cells =
      row.length === widths.length
        ? row.map((cell, column) => (column === 0 ? padEnd : padStart)(cell, widths[column]))
        : [padEnd(row[0], widths[0]), ...row.slice(1)];
    const line = cells.join('  ').trimEnd();
    return i === 0 ? paint('bold', line) : line;
  });
}

function milliseconds(ms: number): string {
  if (ms >= 99.95) return formatCount(ms);
  return ms.toFixed(ms < 0.995 ? 2 : 1);
}

function shareText(share: number | null): string {
  return share === null ? NOTHING : formatPercent(share);
}

function megabytes(bytes: number): string {
  return `${formatCount(bytes / 2 ** 20)} MB`;
}
