// int8 weights: one symmetric scale for each output channel, that is each row of a matrix. Vectors stay f32.

import type { ParameterTable } from '../model/parameters.js';
import type { Int8Tensor, NamedWeights, WeightTensor } from '../model/weights.js';

/** -128 is left out, so that the range is symmetric and negation never overflows. */
const INT8_MAX = 127;

/** Adding and subtracting 1.5 * 2^52 leaves an f64 no room for a fraction: it rounds to the nearest integer, ties to even. */
const ROUNDER = 1.5 * 2 ** 52;

/**
 * Fresh tensors: matrices as int8, the rest as they are. Per row: scale = max|w| / 127 (as f32), value = w / scale rounded
 * to nearest, ties to even; a row of zeros has scale 0. So |w - value * scale| <= scale / 2.
 */
export function quantizeWeights(tensors: NamedWeights, table: ParameterTable): Map<string, WeightTensor> {
  const matrices = new Set(table.parameters.filter(({ isMatrix }) => isMatrix).map(({ name }) => name));
  return new Map(
    [...tensors].map(([name, tensor]) => [
      name,
      tensor.kind === 'f32' && matrices.has(name) ? quantizeRows(tensor.data, tensor.shape) : tensor,
    ]),
  );
}

function quantizeRows(weights: Float32Array, shape: readonly number[]): Int8Tensor {
  const [rows, columns] = shape;
  const data = new Int8Array(weights.length);
  const scales = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    const begin = r * columns;
    let largest = 0;
    for (let i = begin; i < begin + columns; i++) largest = Math.max(largest, Math.abs(weights[i]));
    scales[r] = largest / INT8_MAX;
    const scale = scales[r]; // Rounded to f32, as readers will use it.
    if (scale === 0) continue;
    for (let i = begin; i < begin + columns; i++) data[i] = roundToInt8(weights[i] / scale);
  }
  return { kind: 'int8', shape, data, scales };
}

function roundToInt8(value: number): number {
  const rounded = value + ROUNDER - ROUNDER;
  return Math.max(-INT8_MAX, Math.min(INT8_MAX, rounded)); // Beyond 127 only where the scale itself is subnormal.
}
