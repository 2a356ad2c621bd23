// The form in which named weights travel between checkpoints, engines and exports.

/** One tensor: f32, or int8 rows with one f32 scale each (value = int8 * scale of its row). Row-major. */
export type WeightTensor = FloatTensor | Int8Tensor;

export interface FloatTensor {
  readonly kind: 'f32';
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface Int8Tensor {
  readonly kind: 'int8';
  /** [rows, columns] */
  readonly shape: readonly number[];
  /** (rows * columns) from -127 to 127. */
  readonly data: Int8Array;
  /** (rows) finite, not negative. */
  readonly scales: Float32Array;
}

/** Tensors by parameter name, as in the parameter table. */
export type NamedWeights = ReadonlyMap<string, WeightTensor>;
