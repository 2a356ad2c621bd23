// Between flat memory and tensors: weights in, gradients out, and a micro-batch's constants.

import type { Parameter, ParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import type { PackedBatch } from './engine.js';
import type { BatchTensors, ModelTensors, QueryTensors } from './tfjs-model.js';
import type { Tensor, Tf } from './tfjs-types.js';

/** A tensor of the model and its place in the flat vector. */
export type Slot = Pick<Parameter, 'name' | 'shape' | 'offset' | 'length'>;

/** The table's parameters in their order, but q, k and v apart: their rows follow one another in `attn.qkv`. */
export function tensorSlots(table: ParameterTable): Slot[] {
  return table.parameters.flatMap((parameter): Slot[] => {
    if (!parameter.name.includes('.qkv.')) return [parameter];
    const [rows, ...rest] = parameter.shape;
    const length = parameter.length / 3;
    return ['q', 'k', 'v'].map((part, i) => ({
      name: parameter.name.replace('qkv', part),
      shape: [rows / 3, ...rest],
      offset: parameter.offset + i * length,
      length,
    }));
  });
}

/** In the order of the slots. Backends other than wasm may read `flat` later, as long as the tensors live. */
export function weightTensors(tf: Tf, slots: readonly Slot[], flat: Float32Array): Tensor[] {
  return slots.map(({ shape, offset, length }) => tf.tensor(flat.subarray(offset, offset + length), [...shape]));
}

/** Gives the tensors, in the order of the slots, their names in the formulas. */
export function nameTensors(slots: readonly Slot[], tensors: readonly Tensor[], { nLayer }: ModelShape): ModelTensors {
  const byName = new Map(slots.map(({ name }, i) => [name, tensors[i]]));
  const tensor = (name: string) => byName.get(name)!;
  const linear = (name: string) => ({ weight: tensor(`${name}.weight`), bias: tensor(`${name}.bias`) });
  return {
    embedding: tensor('tok_emb.weight'),
    blocks: Array.from({ length: nLayer }, (_, i) => ({
      norm1: tensor(`blocks.${i}.norm1.weight`),
      q: linear(`blocks.${i}.attn.q`),
      k: linear(`blocks.${i}.attn.k`),
      v: linear(`blocks.${i}.attn.v`),
      proj: linear(`blocks.${i}.attn.proj`),
      norm2: tensor(`blocks.${i}.norm2.weight`),
      fc1: linear(`blocks.${i}.mlp.fc1`),
      fc2: linear(`blocks.${i}.mlp.fc2`),
    })),
    norm: tensor('norm.weight'),
  };
}

/** Which rows look at which: what a batch says of its tokens, without their targets. */
export type Sequences = Pick<PackedBatch, 'tokens' | 'seqStarts' | 'scoredRows'>;

/** `mask(site, row)`: the dropout factors (C) of a row; null: no dropout. */
export type DropoutMask = ((site: number, row: number) => Float32Array) | null;

/** Constants of one micro-batch. To be made outside of what is differentiated, which disposes what is made inside. */
export function batchTensors(tf: Tf, shape: ModelShape, batch: Sequences, dropout: DropoutMask): BatchTensors {
  const firstRows = firstRowOfEach(batch);
  const everyRow = Int32Array.from(batch.tokens, (_, row) => row);
  const queries = (rows: Int32Array, sites: readonly number[]) =>
    queryTensors(tf, shape, firstRows, rows, dropout, sites);
  const last = 2 * shape.nLayer;
  const [before, inLast] = [range(0, last - 1), [last - 1, last]];
  return {
    tokens: tf.tensor1d(batch.tokens, 'int32'),
    all: queries(everyRow, before),
    scoredRows: tf.tensor1d(batch.scoredRows, 'int32'),
    scored: queries(batch.scoredRows, inLast),
  };
}

/** (R, V) the weight of each scored row at its target, 0 elsewhere. */
export function labelTensor(tf: Tf, { vocabSize: V }: ModelShape, { targets, weights }: PackedBatch): Tensor {
  const labels = new Float32Array(targets.length * V);
  targets.forEach((target, r) => {
    labels[r * V + target] = weights[r];
  });
  return tf.tensor2d(labels, [targets.length, V]);
}

/** (T) the first row of the sequence that each row belongs to. */
function firstRowOfEach({ tokens, seqStarts }: Sequences): Int32Array {
  const first = new Int32Array(tokens.length);
  for (let s = 0; s + 1 < seqStarts.length; s++) first.fill(seqStarts[s], seqStarts[s], seqStarts[s + 1]);
  return first;
}

/** So far below any score that its exponential is 0 beside that of the row itself, which every row sees. */
const HIDDEN = -1e9;
const ROPE_BASE = 10000;

function queryTensors(
  tf: Tf,
  { nEmbd: C, nHead }: ModelShape,
  firstRows: Int32Array,
  rows: Int32Array,
  dropout: DropoutMask,
  sites: readonly number[],
): QueryTensors {
  const T = firstRows.length;
  const hs = C / nHead;
  const cos = new Float32Array(rows.length * hs);
  const sin = new Float32Array(rows.length * hs);
  const mask = new Float32Array(rows.length * T).fill(HIDDEN);
  rows.forEach((row, r) => {
    for (let i = 0; i < hs / 2; i++) {
      const angle = (row - firstRows[row]) * ROPE_BASE ** ((-2 * i) / hs);
      cos[r * hs + i] = cos[r * hs + i + hs / 2] = Math.cos(angle);
      sin[r * hs + i] = sin[r * hs + i + hs / 2] = Math.sin(angle);
    }
    // A row looks at itself and what came before it in its own sequence.
    mask.fill(0, r * T + firstRows[row], r * T + row + 1);
  });
  const masks = dropout ? sites.map((site): [number, Tensor] => [site, dropoutTensor(tf, dropout, site, rows, C)]) : [];
  return {
    cos: tf.tensor2d(cos, [rows.length, hs]),
    sin: tf.tensor2d(sin, [rows.length, hs]),
    mask: tf.tensor2d(mask, [rows.length, T]),
    dropout: new Map(masks),
  };
}

function dropoutTensor(tf: Tf, dropout: NonNullable<DropoutMask>, site: number, rows: Int32Array, C: number): Tensor {
  const factors = new Float32Array(rows.length * C);
  rows.forEach((row, r) => {
    factors.set(dropout(site, row), r * C);
  });
  return tf.tensor2d(factors, [rows.length, C]);
}

function range(begin: number, end: number): number[] {
  return Array.from({ length: end - begin }, (_, i) => begin + i);
}
