// Every matrix product of the model, forward and backward, at the rows of a micro-batch, in one precision.

import type { ModelShape } from '../model/shape.js';
import { createOperands, type Kernel } from './operands.js';
import type { Precision, ProductFigures, ProductSpeed, Speed } from './report.js';
import { fastest } from './timing.js';

export interface Matrix {
  readonly name: string;
  readonly outputs: number;
  readonly inputs: number;
  readonly matrices: number;
}

/** The matrices as the kernels use them: queries apart from keys and values, and what has the same sizes together. */
export function matricesOf({ nLayer: L, nEmbd: C, vocabSize: V }: ModelShape): Matrix[] {
  return [
    { name: 'q, proj', outputs: C, inputs: C, matrices: 2 * L },
    { name: 'k and v', outputs: 2 * C, inputs: C, matrices: L },
    { name: 'fc1', outputs: 4 * C, inputs: C, matrices: L },
    { name: 'fc2', outputs: C, inputs: 4 * C, matrices: L },
    { name: 'head', outputs: V, inputs: C, matrices: 1 },
  ];
}

const FORMS = {
  fp32: { forward: 'linear', dX: 'linearBack', dW: 'linearGrads' },
  bf16: { forward: 'linearBf16', dX: 'linearBackBf16', dW: 'linearGradsBf16' },
} as const satisfies Record<Precision, Record<string, Kernel>>;

export interface ProductRun {
  readonly isa: string;
  readonly precision: Precision;
  readonly rows: number;
  /** GFLOPS of one thread in this precision. */
  readonly peak: number | null;
  /** For each form. */
  readonly ms: number;
}

export function measureProduct(matrix: Matrix, { isa, precision, rows, peak, ms }: ProductRun): ProductFigures {
  const { outputs, inputs } = matrix;
  const forms = FORMS[precision];
  const operands = createOperands(isa, 'linear', [rows, outputs, inputs]);
  const measure = (kernel: Kernel): ProductSpeed => {
    const speed = (pack: boolean) =>
      speedOf(
        2 * rows * outputs * inputs,
        fastest((times) => operands.run(kernel, times, pack), ms / 2),
        peak,
      );
    // With packing first: it leaves the panels that the product alone reads.
    const withPacking = speed(true);
    return { alone: speed(false), withPacking };
  };
  return { ...matrix, forward: measure(forms.forward), dX: measure(forms.dX), dW: measure(forms.dW) };
}

export function speedOf(flops: number, ms: number, peak: number | null): Speed {
  const gflops = flops / ms / 1e6;
  return { gflops, share: peak === null ? null : gflops / peak };
}

/** The speed at which all of them together are done: their FLOPs over the sum of their times. */
export function allProducts(products: readonly ProductFigures[], peak: number | null): ProductSpeed {
  const all = (of: (speed: ProductSpeed) => Speed): Speed => {
    const parts = products.flatMap(({ outputs, inputs, matrices, forward, dX, dW }) =>
      [forward, dX, dW].map((speed) => ({ work: outputs * inputs * matrices, gflops: of(speed).gflops })),
    );
    const work = parts.reduce((sum, part) => sum + part.work, 0);
    const gflops = work / parts.reduce((sum, part) => sum + part.work / part.gflops, 0);
    return { gflops, share: peak === null ? null : gflops / peak };
  };
  return { alone: all(({ alone }) => alone), withPacking: all(({ withPacking }) => withPacking) };
}
