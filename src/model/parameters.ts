// The one table of a model's parameters. Arena offsets, checkpoint keys, kernel pointers and counts derive from it.
// No mathematics here.

import type { ModelShape } from './shape.js';

export interface Parameter {
  /** As in the original's state_dict, e.g. `blocks.0.attn.qkv.weight`. */
  readonly name: string;
  /** Row-major; linear weights are [out, in]. */
  readonly shape: readonly number[];
  /** First element in the flat f32 vector of all parameters; a multiple of PARAMETER_ALIGNMENT. */
  readonly offset: number;
  /** Number of elements. */
  readonly length: number;
  readonly init:
    | { readonly kind: 'normal'; readonly std: number }
    | { readonly kind: 'constant'; readonly value: number };
  /** Part of a linear layer (or the tied head) that int8 quantisation turns into bytes. */
  readonly isMatrix: boolean;
}

export interface ParameterTable {
  readonly parameters: readonly Parameter[];
  /** Elements of the flat vector, gaps for alignment included. */
  readonly flatLength: number;
  /** Trainable numbers, gaps excluded: V*C + L*(12*C^2 + 11*C) + C. */
  readonly count: number;
}

/** 64 bytes: a cache line, and the widest vector register. */
export const PARAMETER_ALIGNMENT = 16;

const INIT_STD = 0.02;

/** Builds the table in the order of the original's state_dict. Names and initialisation: GPT-2, Radford et al. 2019. */
export function createParameterTable(shape: ModelShape): ParameterTable {
  const { nLayer, nEmbd: C, vocabSize: V } = shape;
  // GPT-2 scales what is added to the residual stream, so that its variance doesn't grow with depth.
  const residualStd = INIT_STD / Math.sqrt(2 * nLayer);
  const parameters: Parameter[] = [];
  let offset = 0;
  const add = (name: string, dims: number[], init: Parameter['init'], isMatrix: boolean) => {
    const length = dims.reduce((a, b) => a * b, 1);
    parameters.push({ name, shape: dims, offset, length, init, isMatrix });
    offset += Math.ceil(length / PARAMETER_ALIGNMENT) * PARAMETER_ALIGNMENT;
  };
  const matrix = (name: string, out: number, inputs: number, std = INIT_STD) =>
    add(name, [out, inputs], { kind: 'normal', std }, true);
  const vector = (name: string, length: number, value: number) =>
    add(name, [length], { kind: 'constant', value }, false);

  matrix('tok_emb.weight', V, C);
  for (let i = 0; i < nLayer; i++) {
    const block = `blocks.${i}`;
    vector(`${block}.norm1.weight`, C, 1);
    matrix(`${block}.attn.qkv.weight`, 3 * C, C);
    vector(`${block}.attn.qkv.bias`, 3 * C, 0);
    matrix(`${block}.attn.proj.weight`, C, C, residualStd);
    vector(`${block}.attn.proj.bias`, C, 0);
    vector(`${block}.norm2.weight`, C, 1);
    matrix(`${block}.mlp.fc1.weight`, 4 * C, C);
    vector(`${block}.mlp.fc1.bias`, 4 * C, 0);
    matrix(`${block}.mlp.fc2.weight`, C, 4 * C, residualStd);
    vector(`${block}.mlp.fc2.bias`, C, 0);
  }
  vector('norm.weight', C, 1);
  return { parameters, flatLength: offset, count: parameters.reduce((n, p) => n + p.length, 0) };
}
