// Inference with the native engine: f32 or int8 weights, prefill as GEMM, then one token at a time over a KV cache.

import { alignedBytes, type NativeModel, type NativeQuantized } from '../addon/addon.js';
import { createParameterTable, type ParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import type { NamedWeights } from '../model/weights.js';
import type { InferenceEngine, InferenceSession } from './engine.js';
import { createNativeModel, type NativeBuffers, nativePackedFloats, requireAddon } from './native.js';

/**
 * `weights`: every parameter of the shape, of the right size (a checkpoint's loader has checked that). They are copied, or, where
 * they already lie as the kernels want them, kept: they must not change while the engine is in use.
 */
export function createNativeInference(shape: ModelShape, weights: NamedWeights, isa?: string): InferenceEngine {
  const addon = requireAddon();
  const table = createParameterTable(shape);
  const inPlace = findInPlace(table, weights);
  const flat = inPlace ?? alignedFloats(table.flatLength);
  const int8 = inPlace === null ? fillWeights(table, weights, flat) : null;
  const packed = alignedFloats(nativePackedFloats(shape, 'inference'));
  const model = createNativeModel({ shape, table, weights: flat, packed, isa });
  if (int8) return inferenceOver(shape, model, addon.createQuantized(model, int8.data, int8.scales, int8.scaleOffsets));
  addon.pack(model, 0, 1);
  return inferenceOver(shape, model, null);
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
  return {
    get length() {
      return length;
    },
    append(tokens) {
      addon.append(session, length, tokens, logits);
      length += tokens.length;
      return logits;
    },
    truncate(to) {
      if (to < 0 || to > length) throw new RangeError(`truncate: ${to} is not between 0 and the length ${length}`);
      length = to;
    },
  };
}

interface QuantizedArrays {
  readonly data: Int8Array;
  readonly scales: Float32Array;
  readonly scaleOffsets: Int32Array;
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

/** Copies f32 tensors into `flat`; returns the int8 ones side by side, at the same offsets, or null when there are none. */
function fillWeights(table: ParameterTable, weights: NamedWeights, flat: Float32Array): QuantizedArrays | null {
  const matrices = table.parameters.filter((p) => p.isMatrix);
  const isQuantized = matrices.some((p) => weights.get(p.name)!.kind === 'int8');
  const rows = matrices.reduce((n, p) => n + p.shape[0], 0);
  const data = new Int8Array(isQuantized ? table.flatLength : 0);
  const scales = new Float32Array(isQuantized ? rows : 0);
  const scaleOffsets = new Int32Array(table.parameters.length).fill(-1);
  let nextScale = 0;
  table.parameters.forEach((p, i) => {
    const tensor = weights.get(p.name)!;
    if (tensor.kind === 'f32') {
      flat.set(tensor.data, p.offset);
      return;
    }
    data.set(tensor.data, p.offset);
    scales.set(tensor.scales, nextScale);
    scaleOffsets[i] = nextScale;
    nextScale += p.shape[0];
  });
  return isQuantized ? { data, scales, scaleOffsets } : null;
}

/** A zeroed Float32Array that starts on 64 bytes. */
export function alignedFloats(length: number): Float32Array {
  const { buffer, byteOffset } = alignedBytes(length * 4);
  return new Float32Array(buffer, byteOffset, length);
}
