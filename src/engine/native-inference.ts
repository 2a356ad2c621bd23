// Inference with the native engine: f32 or int8 weights, prefill as GEMM, then one token at a time over a KV cache.

import type { NativeModel, NativeQuantized } from '../addon/addon.js';
import { createParameterTable, type ParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import type { NamedWeights } from '../model/weights.js';
import type { InferenceEngine, InferenceSession } from './engine.js';
import { createNativeModel, type NativeBuffers, nativePackedFloats, requireAddon } from './native.js';

/** `weights`: every parameter of the shape, of the right size (a checkpoint's loader has checked that). */
export function createNativeInference(shape: ModelShape, weights: NamedWeights, isa?: string): InferenceEngine {
  const addon = requireAddon();
  const table = createParameterTable(shape);
  const flat = alignedFloats(table.flatLength);
  const int8 = fillWeights(table, weights, flat);
  const packed = alignedFloats(nativePackedFloats(shape));
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
  const bytes = new Uint8Array(new ArrayBuffer(length * 4 + 64));
  return new Float32Array(bytes.buffer, requireAddon().alignmentGap(bytes), length);
}
