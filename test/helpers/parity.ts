// PyTorch's answers in test/fixtures/parity: a model with formula weights, its samples, and what float64 PyTorch computed.

import { readFileSync } from 'node:fs';
import { loadAddon } from '../../src/addon/addon.js';
import type { PackedBatch } from '../../src/engine/engine.js';
import { createParameterTable, type ParameterTable } from '../../src/model/parameters.js';
import type { ModelShape } from '../../src/model/shape.js';
import type { NamedWeights } from '../../src/model/weights.js';
import { fixture } from './paths.js';

export interface ParityCase {
  readonly shape: ModelShape;
  readonly table: ParameterTable;
  readonly weights: Float32Array;
  readonly batch: PackedBatch;
  readonly samples: readonly { readonly ids: number[]; readonly targets: number[] }[];
  readonly expected: {
    readonly adamw: {
      readonly lr: number;
      readonly beta1: number;
      readonly beta2: number;
      readonly eps: number;
      readonly weight_decay: number;
      readonly clip_norm: number;
    };
    readonly steps: readonly { readonly loss: number; readonly grad_norm: number }[];
    readonly per_sample_loss: readonly number[];
    readonly grad_norm_per_tensor: Readonly<Record<string, number>>;
    readonly grad_first8_per_tensor: Readonly<Record<string, number[]>>;
    readonly final_param_norm_per_tensor: Readonly<Record<string, number>>;
    readonly final_first8_per_tensor: Readonly<Record<string, number[]>>;
  };
}

export function loadParityCase(name: 'tiny' | 'default'): ParityCase {
  const json = JSON.parse(readFileSync(fixture(`parity/${name}.json`), 'utf8'));
  const { n_layer, n_head, n_embd, vocab_size, seq_len } = json.config;
  const shape = { nLayer: n_layer, nHead: n_head, nEmbd: n_embd, vocabSize: vocab_size, seqLen: seq_len };
  const table = createParameterTable(shape);
  return {
    shape,
    table,
    weights: formulaWeights(table),
    batch: packSamples(json.samples),
    samples: json.samples,
    expected: json,
  };
}

/** Tensor t, element i: base + amp * sin(0.1 t + 0.37 i), as the fixtures were made. */
function formulaWeights(table: ParameterTable): Float32Array {
  const weights = alignedFloats(table.flatLength);
  table.parameters.forEach(({ name, shape, offset, length }, t) => {
    const base = name.includes('norm') ? 1 : 0;
    const amp = shape.length === 1 ? 0.02 : 0.05;
    for (let i = 0; i < length; i++) weights[offset + i] = base + amp * Math.sin(0.1 * t + 0.37 * i);
  });
  return weights;
}

/** All samples as one micro-batch whose loss is the mean over the scored tokens. */
export function packSamples(samples: readonly { ids: number[]; targets: number[] }[]): PackedBatch {
  const starts = [0];
  const tokens: number[] = [];
  const rows: number[] = [];
  const targets: number[] = [];
  for (const sample of samples) {
    sample.targets.forEach((target, i) => {
      if (target < 0) return;
      rows.push(tokens.length + i);
      targets.push(target);
    });
    tokens.push(...sample.ids);
    starts.push(tokens.length);
  }
  return {
    tokens: Int32Array.from(tokens),
    seqStarts: Int32Array.from(starts),
    sampleKeys: Int32Array.from(samples, (_, i) => i),
    scoredRows: Int32Array.from(rows),
    targets: Int32Array.from(targets),
    weights: new Float32Array(rows.length).fill(1 / rows.length),
  };
}

export function capacityOf(batch: PackedBatch) {
  return { rows: batch.tokens.length, scored: batch.scoredRows.length, sequences: batch.sampleKeys.length };
}

/** A zeroed array in shared memory that starts on 64 bytes. */
export function alignedFloats(length: number): Float32Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(length * 4 + 64));
  return new Float32Array(bytes.buffer, loadAddon()?.alignmentGap(bytes) ?? 0, length);
}

/** A safetensors file of f32 tensors. */
export function readTensors(name: string): Map<string, Float32Array> {
  const bytes = readFileSync(fixture(`parity/${name}.safetensors`));
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<string, { data_offsets: number[] }>;
  const data = bytes.subarray(8 + headerBytes);
  return new Map(
    Object.entries(header)
      .filter(([key]) => key !== '__metadata__')
      .map(
        ([
          key,
          {
            data_offsets: [begin, end],
          },
        ]) => [key, new Float32Array(new Uint8Array(data.subarray(begin, end)).buffer)],
      ),
  );
}

/** |found - expected| / |expected| in the L2 norm. */
export function relativeError(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  let difference = 0;
  let size = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (found[i] - expected[i]) ** 2;
    size += expected[i] ** 2;
  }
  return Math.sqrt(difference / size);
}

/** 1 where two vectors point the same way. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i] * b[i];
    aa += a[i] ** 2;
    bb += b[i] ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

/** The case's weights by name, views of the flat vector. */
export function namedWeights({ table, weights }: ParityCase): NamedWeights {
  return new Map(
    table.parameters.map(({ name, shape, offset, length }) => [
      name,
      { kind: 'f32', shape, data: weights.subarray(offset, offset + length) },
    ]),
  );
}
