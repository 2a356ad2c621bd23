// Inference with the native engine: f32 or int8 weights, prefill as GEMM, then one token at a time over a KV cache.

import { alignedBytes, type NativeModel, type NativeQuantized } from '../addon/addon.js';
import { createParameterTable, PARAMETER_ALIGNMENT, type ParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import type { FloatTensor, Int8Tensor, NamedWeights } from '../model/weights.js';
import type { InferenceEngine, InferenceSession } from './engine.js';
import { createNativeModel, type NativeBuffers, nativePackedFloats, requireAddon, shapeNumbers } from './native.js';

/**
 * `weights`: every parameter of the shape, of the right size, and either all matrices f32 or all int8 (a checkpoint's loader has
 * checked that). They are copied, or, where they already lie as the kernels want them, kept: they must not change while the
 * engine is in use.
 */
export function createNativeInference(shape: ModelShape, weights: NamedWeights, isa?: string): InferenceEngine {
  const table = createParameterTable(shape);
  const isQuantized = table.parameters.some((p) => p.isMatrix && weights.get(p.name)!.kind === 'int8');
  if (isQuantized) return createQuantizedInference(shape, table, weights, isa);
  const flat = findInPlace(table, weights) ?? copyWeights(table, weights);
  const packed = alignedFloats(nativePackedFloats(shape, 'inference'));
  const model = createNativeModel({ shape, table, weights: flat, packed, isa });
  requireAddon().pack(model, 0, 1);
  return inferenceOver(shape, model, null);
}

/** Takes memory for the packed bytes and the f32 vectors, and none for f32 matrices. */
function createQuantizedInference(
  shape: ModelShape,
  table: ParameterTable,
  weights: NamedWeights,
  isa = '',
): InferenceEngine {
  const addon = requireAddon();
  // As in the table, but matrices take no room.
  let flatLength = 0;
  const offsets = Int32Array.from(table.parameters, ({ isMatrix, length }) => {
    const offset = flatLength;
    if (!isMatrix) flatLength += Math.ceil(length / PARAMETER_ALIGNMENT) * PARAMETER_ALIGNMENT;
    return offset;
  });
  const vectors = alignedFloats(flatLength);
  table.parameters.forEach(({ name, isMatrix }, i) => {
    if (!isMatrix) vectors.set((weights.get(name) as FloatTensor).data, offsets[i]);
  });
  const matrices = table.parameters.filter((p) => p.isMatrix).map(({ name }) => weights.get(name) as Int8Tensor);
  const scales = new Float32Array(matrices.reduce((rows, matrix) => rows + matrix.shape[0], 0));
  let next = 0;
  for (const matrix of matrices) {
    scales.set(matrix.scales, next);
    next += matrix.scales.length;
  }
  const model = addon.createModel(isa, shapeNumbers(shape), offsets, vectors, null, false);
  const bytes = matrices.map(({ data }) => data);
  return inferenceOver(shape, model, addon.createQuantized(model, bytes, scales));
}

/** Over the weights of a training that goes on: between steps they are packed already, and nothing is copied. */
export function createLiveNativeInference(buffers: NativeBuffers): InferenceEngine {
  return inferenceOver(buffers.shape, createNativeModel(buffers), null);
}

function inferenceOver(shape: ModelShape, model: NativeModel, quantized: NativeQuantized | null): InferenceEngine {
  // Native memory goes with the handles, when they are collected.
  return { shape, createSession: () => createSession(shape, model, quantized), close: () => {} };
}

function createSession(shape: ModelShape, model: NativeModel, quantized: NativeQuantized | null): InferenceSession {
  const addon = requireAddon();
  const session = addon.createSession(model, quantized);
  const logits = new Float32Array(shape.vocabSize);
  let length = 0;
  let logSumExp = Number.NaN;
  return {
    get length() {
      return length;
    },
    get logSumExp() {
      return logSumExp;
    },
    append(tokens) {
      logSumExp = addon.append(session, length, tokens, logits);
      length += tokens.length;
      return logits;
    },
    truncate(to) {
      if (to < 0 || to > length) throw new RangeError(`truncate: ${to} is not between 0 and the length ${length}`);
      length = to;
    },
  };
}

/** The flat vector, where all tensors are f32 and views of one buffer at the table's offsets from 64-byte aligned memory. */
function findInPlace(table: ParameterTable, weights: NamedWeights): Float32Array | null {
  const { buffer, byteOffset } = weights.get(table.parameters[0].name)!.data;
  const isThere = table.parameters.every((p) => {
    const { kind, data } = weights.get(p.name)!;
    return kind === 'f32' && data.buffer === buffer && data.byteOffset === byteOffset + 4 * p.offset;
  });
  if (!isThere || byteOffset + 4 * table.flatLength > buffer.byteLength) return null;
  const isAligned = requireAddon().alignmentGap(new Uint8Array(buffer, byteOffset)) === 0;
  return isAligned ? new Float32Array(buffer, byteOffset, table.flatLength) : null;
}

function copyWeights(table: ParameterTable, weights: NamedWeights): Float32Array {
  const flat = alignedFloats(table.flatLength);
  for (const { name, offset } of table.parameters) flat.set((weights.get(name) as FloatTensor).data, offset);
  return flat;
}

/** A zeroed Float32Array that starts on 64 bytes. */
export function alignedFloats(length: number): Float32Array {
  const { buffer, byteOffset } = alignedBytes(length * 4);
  return new Float32Array(buffer, byteOffset, length);
}
