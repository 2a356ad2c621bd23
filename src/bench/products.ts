// Every matrix product of the model, forward and backward, at the rows of a micro-batch.

import type { ModelShape } from '../model/shape.js';
import { createOperands, type Kernel } from './operands.js';
import type { KernelFigures, ProductFigures, ProductSpeed, Speed } from './report.js';
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

const FORMS = { forward: 'linear', dX: 'linearBack', dW: 'linearGrads' } as const satisfies Record<string, Kernel>;

/** `peak`: GFLOPS of one thread. `ms`: for each form. */
export function measureProduct(
  isa: string,
  matrix: Matrix,
  rows: number,
  peak: number | null,
  ms: number,
): ProductFigures {
  const { outputs, inputs } = matrix;
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
  return { ...matrix, forward: measure(FORMS.forward), dX: measure(FORMS.dX), dW: measure(FORMS.dW) };
}

export function speedOf(flops: number, ms: number, peak: number | null): Speed {
  const gflops = flops / ms / 1e6;
  return { gflops, share: peak === null ? null : gflops / peak };
}

/** The speed at which all of them together are done: their FLOPs over the sum of their times. */
export function allProducts(products: readonly ProductFigures[], peak: number | null): KernelFigures['allProducts'] {
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
