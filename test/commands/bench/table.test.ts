// The report as text: a made-up one, to the letter.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import type { BenchReport, PrecisionUse } from '../../../src/bench/report.js';
import { reportLines } from '../../../src/commands/bench/table.js';
import { createPaint } from '../../../src/ui/paint.js';
import { widthOf } from '../../../src/ui/text.js';

const speed = (gflops: number) => ({ gflops, share: gflops / 100 });
const product = (name: string, outputs: number, inputs: number, gflops: number) => ({
  ...{ name, outputs, inputs, matrices: 4 },
  forward: { alone: speed(gflops), withPacking: speed(gflops - 5) },
  dX: { alone: speed(gflops - 1), withPacking: speed(gflops - 6) },
  dW: { alone: speed(gflops - 2), withPacking: speed(gflops - 7) },
});
const FP32 = { precision: 'fp32', isEmulated: false } as const;
const BF16 = { precision: 'bf16', isEmulated: false } as const;
const step = (workers: number, mergeDuplicates: boolean, medianMs: number) => ({
  ...FP32,
  ...{ workers, mergeDuplicates, medianMs, steps: 40 },
  phases: { forward: medianMs * 0.3, backward: medianMs * 0.55, reduce: 1.25, update: 2.5, wait: 0.4, other: 0.1 },
  ...{ tokensPerSec: 700_000 / medianMs, gflops: 12_300 / medianMs, share: 123 / medianMs / workers },
  speedUp: 130 / medianMs,
});

const REPORT: BenchReport = {
  format: 2,
  date: '2026-11-24T11:05:59.123Z',
  isQuick: false,
  machine: {
    ...{ cpu: '海光 7285', platform: 'linux x64', node: 'v20.20.2', physicalCores: 2, logicalCores: 4 },
    features: ['avx2', 'fma'],
  },
  engine: { name: 'native', detail: 'AVX2', precisions: [FP32] },
  model: { nLayer: 4, nHead: 4, nEmbd: 256, vocabSize: 824, seqLen: 128, parameters: 3_368_192 },
  peaks: { fp32: { oneThread: 100, threads: 2, allThreads: 198.76 }, bf16: null },
  memory: {
    ...{ bytes: 128 * 2 ** 20, threads: 2 },
    read: { oneThread: 21.04, allThreads: 30 },
    triad: { oneThread: 18.5, allThreads: 27.25 },
  },
  kernels: {
    rows: 174,
    products: [
      {
        ...FP32,
        matrices: [product('q, proj', 256, 256, 97), product('fc1', 1024, 256, 99)],
        all: { alone: speed(97.5), withPacking: speed(92.5) },
      },
    ],
    others: [
      { name: 'attention, forward', ms: 0.0554, gflops: 24.2, share: 0.242, gbPerSec: null },
      { name: 'reduce', ms: 3.456, gflops: null, share: null, gbPerSec: 21.3 },
    ],
  },
  steps: [step(1, true, 80), step(2, true, 42), step(1, false, 130), step(2, false, 68)],
  inference: [
    { weights: 'fp32', promptTokens: 64, answerTokens: 65, prefillTokensPerSec: 12_345, decodeTokensPerSec: 2512 },
    { weights: 'int8', promptTokens: 64, answerTokens: 65, prefillTokensPerSec: 9000, decodeTokensPerSec: 6100 },
  ],
  firstTokenMs: 231.4,
  othersBusy: 0.02,
  warnings: ['Something was wrong.'],
};

const TEXT = `gpt-loom bench, 2026-11-24 11:05 UTC
machine  海光 7285, 2 physical of 4 logical cores
system   linux x64, Node v20.20.2
engine   native AVX2 fp32
model    3,368,192 parameters: 4 layers, 4 heads, 256 channels, 824 tokens

at most                                1 thread     2 threads
FP32 multiply-add                  100.0 GFLOPS  198.8 GFLOPS
BF16 multiply-add                  not available on this CPU
memory, read (128 MB)                 21.0 GB/s     30.0 GB/s
memory, triad (2 read, 1 written)     18.5 GB/s     27.3 GB/s

at 174 tokens     product           GFLOPS  of peak  with packing  of peak
q, proj         256 x 256  forward    97.0     97 %          92.0     92 %
                                dX    96.0     96 %          91.0     91 %
                                dW    95.0     95 %          90.0     90 %
fc1            1024 x 256  forward    99.0     99 %          94.0     94 %
                                dX    98.0     98 %          93.0     93 %
                                dW    97.0     97 %          92.0     92 %
all of a step                         97.5     98 %          92.5     93 %

other kernels, 1 thread      ms  GFLOPS  of peak  GB/s
attention, forward       0.0554    24.2     24 %
reduce                     3.46                   21.3

merged       ms  forward  backward  reduce  update  wait   tok/s  of peak  vs 1
1 worker   80.0     24.0      44.0     1.3     2.5  0.40   8,750    100 %  1.63
2 workers  42.0     12.6      23.1     1.3     2.5  0.40  16,667    100 %  3.10

not merged    ms  forward  backward  reduce  update  wait   tok/s  of peak  vs 1
1 worker     130     39.0      71.5     1.3     2.5  0.40   5,385     95 %  1.00
2 workers   68.0     20.4      37.4     1.3     2.5  0.40  10,294     90 %  1.91

answers, tokens/s              prompt of 64  answer of 65
fp32 weights                         12,345         2,512
int8 weights                          9,000         6,100
start of infer to first token  231 ms

of peak: useful operations (a multiply-add is two) against what the cores in use
can do at most. with packing: what training packs once a step is packed for
every product. merged: identical samples of a batch are computed once. Peaks and
kernels are the best of several rounds, steps and answers medians.
! Something was wrong.
`;

test('bench table: says every figure, in columns', () => {
  const lines = reportLines(REPORT, createPaint(false));
  assert.equal(`${lines.join('\n')}\n`, TEXT);
});

test('bench table: fits into 80 columns, and has no colours where there are none', () => {
  const plain = reportLines(REPORT, createPaint(false));
  for (const line of plain) assert.ok(widthOf(line) <= 80, line);
  assert.ok(!plain.join('').includes('\u001b'));
  const painted = reportLines(REPORT, createPaint(true));
  assert.ok(painted.join('').includes('\u001b'));
  // Colour adds nothing but colour.
  assert.deepEqual(
    painted.map((line) => stripVTControlCharacters(line)),
    plain,
  );
});

test('bench table: without the native engine it says what that costs, and no kernels', () => {
  const { kernels: _, ...rest } = REPORT;
  const steps = [{ ...step(1, false, 130), share: null }];
  const report = { ...rest, kernels: null, memory: null, peaks: { fp32: null, bf16: null }, steps };
  const text = reportLines(report, createPaint(false)).join('\n');
  assert.match(text, /^FP32 multiply-add +needs the native engine$/m);
  assert.match(text, /^1 worker .* - +1\.00$/m);
  assert.doesNotMatch(text, /packing|attention|merged/);
});

test('bench table: a processor with bfloat16 instructions that nothing uses is told so', () => {
  const machine = { ...REPORT.machine, features: ['avx512_bf16'] };
  assert.ok(
    reportLines({ ...REPORT, machine }, createPaint(false)).some((line) => /^BF16 .* no kernels for it$/.test(line)),
  );
});

test('bench table: with two precisions each has its products and its steps, and its peak', () => {
  const lines = reportLines(withBf16(BF16), createPaint(false));
  const after = (line: string, count: number) => lines[lines.indexOf(line) + count];
  assert.ok(lines.includes('engine   native AVX-512 fp32 and bf16'));
  assert.ok(lines.includes('BF16 multiply-add                  190.0 GFLOPS  380.0 GFLOPS'));
  assert.equal(
    after('products in BF16', 2),
    'fc1            1024 x 256  forward    99.0     99 %          94.0     94 %',
  );
  const steps = ['products in FP32', 'products in BF16', 'steps in FP32', 'steps in BF16'];
  assert.deepEqual(
    lines.filter((line) => / in (FP32|BF16)/.test(line)),
    steps,
  );
  assert.equal(
    lines[lines.indexOf('steps in BF16') + 2],
    '1 worker  40.0     12.0      22.0     1.3     2.5  0.40  17,500     71 %  3.25',
  );
  for (const line of lines) assert.ok(widthOf(line) <= 80, line);
});

test('bench table: what is emulated says so, and a step has no share of a peak', () => {
  const lines = reportLines(withBf16({ ...BF16, isEmulated: true }), createPaint(false));
  assert.ok(lines.includes('engine   native AVX-512 fp32 and bf16 (emulated)'));
  assert.ok(lines.includes('products in BF16, emulated'));
  assert.match(lines[lines.indexOf('steps in BF16, emulated') + 2], /^1 worker .* 17,500 +- +3\.25$/);
  assert.match(lines.join(' '), /emulated: without BF16 instructions, which this CPU lacks; slow/);
});

function withBf16(use: PrecisionUse): BenchReport {
  const kernels = REPORT.kernels!;
  const [fp32] = kernels.products;
  const bf16 = { ...fp32, ...use, matrices: [product('fc1', 1024, 256, 99)] };
  return {
    ...REPORT,
    engine: { name: 'native', detail: 'AVX-512', precisions: [FP32, use] },
    peaks: { ...REPORT.peaks, bf16: { oneThread: 190, threads: 2, allThreads: 380 } },
    kernels: { ...kernels, products: [fp32, bf16] },
    steps: [step(1, false, 80), { ...step(1, false, 40), ...use, share: use.isEmulated ? null : 0.71 }],
  };
}
