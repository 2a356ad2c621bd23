// The kernels on one thread, at the sizes of a micro-batch: products, attention, RMSNorm, and what is done once a step for all
// parameters. The fastest of several rounds counts.

import { createNativeModel, nativePackedFloats, requireAddon } from '../engine/native.js';
import { alignedFloats } from '../engine/native-inference.js';
import { initializeWeights } from '../model/init.js';
import { createParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import { type AdamWSettings, adamwStep } from '../optim/adamw.js';
import { createOptimizerKernels } from '../optim/kernels.js';
import { NORM_BLOCK } from '../optim/reduce.js';
import { createOperands, type Kernel } from './operands.js';
import { allProducts, matricesOf, measureProduct } from './products.js';
import type { KernelFigures, OtherKernel, Precision, PrecisionUse, ProductFigures, ProductSet } from './report.js';
import { fastest } from './timing.js';

export interface KernelRun {
  readonly isa: string;
  /** What the products are measured in. */
  readonly precisions: readonly PrecisionUse[];
  readonly shape: ModelShape;
  readonly batch: MicroBatchSize;
  readonly microBatches: number;
  readonly adamw: AdamWSettings;
  /** GFLOPS of one thread. */
  readonly peaks: Readonly<Record<Precision, number | null>>;
  readonly ms: number;
  /** Called between two kernels; may throw to end the measurement. */
  readonly onPart: () => Promise<void>;
}

export interface MicroBatchSize {
  readonly sequences: number;
  /** Tokens of each sequence. */
  readonly tokens: number;
}

export async function measureKernels(run: KernelRun): Promise<KernelFigures> {
  const rows = run.batch.sequences * run.batch.tokens;
  const products: ProductSet[] = [];
  for (const use of run.precisions) products.push(await measureProducts(use, rows, run));
  const others: OtherKernel[] = [];
  for (const measure of [attention, norm, update, packing]) {
    await run.onPart();
    others.push(...measure(run));
  }
  return { rows, products, others };
}

async function measureProducts(use: PrecisionUse, rows: number, run: KernelRun): Promise<ProductSet> {
  const { isa, shape, ms } = run;
  const { precision } = use;
  const peak = run.peaks[precision];
  const matrices: ProductFigures[] = [];
  for (const matrix of matricesOf(shape)) {
    await run.onPart();
    matrices.push(measureProduct(matrix, { isa, precision, rows, peak, ms }));
  }
  return { ...use, matrices, all: allProducts(matrices, peak) };
}

/** FLOPs of causal attention over one sequence, all heads: scores and weighted values; the backward pass has four such products. */
export function attentionFlops(tokens: number, nEmbd: number, isBackward: boolean): number {
  return (isBackward ? 4 : 2) * tokens * (tokens + 1) * nEmbd;
}

function attention({ isa, shape, batch, peaks, ms }: KernelRun): OtherKernel[] {
  const { nHead, nEmbd } = shape;
  const { sequences, tokens } = batch;
  const operands = createOperands(isa, 'attention', [sequences, tokens, nHead, nEmbd / nHead]);
  return (['attention', 'attentionBack'] as const).map((kernel) => {
    const took = fastest((times) => operands.run(kernel, times, false), ms);
    const isBackward = kernel === 'attentionBack';
    const gflops = (sequences * attentionFlops(tokens, nEmbd, isBackward)) / took / 1e6;
    const share = peaks.fp32 === null ? null : gflops / peaks.fp32;
    return { name: isBackward ? 'attention, backward' : 'attention, forward', ms: took, gflops, share, gbPerSec: null };
  });
}

function norm({ isa, shape, batch, ms }: KernelRun): OtherKernel[] {
  const rows = batch.sequences * batch.tokens;
  const operands = createOperands(isa, 'norm', [rows, shape.nEmbd]);
  const bytes = rows * shape.nEmbd * 4;
  // Forward: x in, y out. Backward: x, dy and dx in, dx out.
  const passes: readonly [name: string, kernel: Kernel, bytes: number][] = [
    ['RMSNorm, forward', 'norm', 2 * bytes],
    ['RMSNorm, backward', 'normBack', 4 * bytes],
  ];
  return passes.map(([name, kernel, traffic]) =>
    memoryKernel(
      name,
      traffic,
      fastest((times) => operands.run(kernel, times, false), ms),
    ),
  );
}

/** Reduce and AdamW over all parameters, as one worker alone does them. */
function update({ shape, microBatches, adamw, ms }: KernelRun): OtherKernel[] {
  const { flatLength: n } = createParameterTable(shape);
  const [weights, m, v] = [0, 1, 2].map(() => alignedFloats(n));
  const grads = alignedFloats(n * microBatches).fill(1e-6);
  const squares = new Float64Array(Math.ceil(n / NORM_BLOCK));
  const { reduce, adamw: apply } = createOptimizerKernels();
  const step = adamwStep(adamw, 1, 1);
  const reduceMs = fastest(
    repeated(() => reduce(grads, microBatches, n, 0, n, squares)),
    ms,
  );
  // Summed over and over, the gradients have grown.
  grads.fill(1e-6, 0, n);
  const adamwMs = fastest(
    repeated(() => apply(weights, grads, m, v, 0, n, step)),
    ms,
  );
  return [
    memoryKernel('reduce', (microBatches + 1) * n * 4, reduceMs),
    // Weights and both moments in and out, the gradient in.
    memoryKernel('AdamW', 7 * n * 4, adamwMs),
  ];
}

function packing({ isa, precisions, shape, ms }: KernelRun): OtherKernel[] {
  const table = createParameterTable(shape);
  const weights = alignedFloats(table.flatLength);
  initializeWeights(table, 0, weights);
  const packed = alignedFloats(nativePackedFloats(shape));
  return precisions.map(({ precision }) => {
    const model = createNativeModel({ shape, table, weights, packed, isa, precision });
    const took = fastest(
      repeated(() => requireAddon().pack(model, 0, 1)),
      ms,
    );
    // Each matrix is read and written in two forms.
    const bytes = 2 * matrixFloats(table) * (4 + PACKED_BYTES[precision]);
    return memoryKernel(precision === 'fp32' ? 'packing the weights' : 'packing the weights, BF16', bytes, took);
  });
}

const PACKED_BYTES: Readonly<Record<Precision, number>> = { fp32: 4, bf16: 2 };

function matrixFloats({ parameters }: ReturnType<typeof createParameterTable>): number {
  return parameters.reduce((sum, { isMatrix, length }) => sum + (isMatrix ? length : 0), 0);
}

function memoryKernel(name: string, bytes: number, ms: number): OtherKernel {
  return { name, ms, gflops: null, share: null, gbPerSec: bytes / ms / 1e6 };
}

function repeated(run: () => void): (times: number) => void {
  return (times) => {
    for (let i = 0; i < times; i++) run();
  };
}
