// The operations whose gradients are not left to the library, because its own are missing, wrong or needlessly slow on a backend.
// The mathematics is the usual; only the kernels that compute it differ.

import type { Tensor, Tf } from './tfjs-types.js';

export interface Operations {
  /** a bᵀ: (m, k), (n, k) -> (m, n) */
  timesTransposed(a: Tensor, b: Tensor): Tensor;
  /** a b: (m, k), (k, n) -> (m, n) */
  times(a: Tensor, b: Tensor): Tensor;
  /** Rows of a table (rows, C) by index (n, int32) -> (n, C). `indices` has no gradient and must outlive the computation. */
  lookup(table: Tensor, indices: Tensor): Tensor;
  /** (n, rows, columns) -> n of (rows, columns) */
  unstack(x: Tensor): Tensor[];
}

export function createOperations(tf: Tf): Operations {
  const transposed = (x: Tensor) => tf.transpose(x);
  const product = (a: Tensor, b: Tensor): Tensor => tf.matMul(a, b);

  // wasm: matMul is fast for two matrices without its transpose flags alone (XNNPACK; else a plain loop, 10 to 40 times slower).
  // The library's gradient of matMul uses the flags: a step of 12.5 s instead of 1.3 s. So the transposes are made first.
  const timesTransposed = tf.customGrad((a, b, save) => {
    const [left, right, keep] = operands(a, b, save);
    keep([left, right]);
    return {
      value: product(left, transposed(right)),
      gradFunc: (dy: Tensor, saved: Tensor[]) => [product(dy, saved[1]), product(transposed(dy), saved[0])],
    };
  });

  const times = tf.customGrad((a, b, save) => {
    const [left, right, keep] = operands(a, b, save);
    keep([left, right]);
    return {
      value: product(left, right),
      gradFunc: (dy: Tensor, saved: Tensor[]) => [product(dy, transposed(saved[1])), product(transposed(saved[0]), dy)],
    };
  });

  // wasm has no UnsortedSegmentSum, which is the library's gradient of gather; scatterND adds up the same rows.
  const lookup = (table: Tensor, indices: Tensor): Tensor =>
    tf.customGrad((rows) => {
      const source = rows as Tensor;
      return {
        value: tf.gather(source, indices),
        gradFunc: (dy: Tensor) =>
          tf.scatterND(tf.reshape(indices, [-1, 1]), dy, source.shape as [number, number]) as Tensor,
      };
    })(table);

  // The library's gradient of unstack fails where there is one part alone (a model with one head).
  const unstack = (x: Tensor): Tensor[] => (x.shape[0] === 1 ? [tf.squeeze(x, [0])] : tf.unstack(x));

  return { timesTransposed, times, lookup, unstack };
}

type Save = (tensors: Tensor[]) => void;

/** The library types the arguments of a custom gradient as a loose list: tensors, then the function that keeps tensors for it. */
function operands(a: unknown, b: unknown, save: unknown): [Tensor, Tensor, Save] {
  return [a as Tensor, b as Tensor, save as Save];
}
