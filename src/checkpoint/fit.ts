// Whether named tensors are exactly those of a parameter table, and the way between them and the flat vector the engines train.

import { CheckpointError } from '../errors.js';
import type { Parameter, ParameterTable } from '../model/parameters.js';
import type { NamedWeights, WeightTensor } from '../model/weights.js';
import { findNonFinite } from './finite.js';
import { describe } from './json.js';

/**
 * Copies named f32 tensors into the flat vector (length table.flatLength); gaps between them are left alone.
 * Throws CheckpointError for tensors that are missing, surplus, of another shape, quantised, or not finite; `into` may
 * then be partly overwritten. `source` names the tensors' origin in messages.
 */
export function flattenWeights(
  tensors: NamedWeights,
  table: ParameterTable,
  into: Float32Array,
  source = 'The checkpoint',
): void {
  checkFit(tensors, table, source);
  for (const { name, offset } of table.parameters) {
    const tensor = tensors.get(name)!;
    if (tensor.kind !== 'f32') {
      throw new CheckpointError(
        `${source} is quantised (tensor ${describe(name)} is int8), but float32 weights are needed.\n` +
          '  Use the last or best checkpoint: training goes on from those only.',
      );
    }
    const bad = findNonFinite(tensor.data);
    if (bad >= 0) {
      throw new CheckpointError(
        `${source} holds ${tensor.data[bad]} in tensor ${describe(name)}, element ${bad}; finite numbers were expected.\n` +
          '  Use another checkpoint, or train again.',
      );
    }
    into.set(tensor.data, offset);
  }
}

/** The flat vector's parts as named f32 tensors: views, nothing is copied. */
export function collectWeights(flat: Float32Array, table: ParameterTable): Map<string, WeightTensor> {
  return new Map(
    table.parameters.map(({ name, shape, offset, length }) => [
      name,
      { kind: 'f32', shape, data: flat.subarray(offset, offset + length) },
    ]),
  );
}

/** Throws CheckpointError unless names and shapes are the table's, and only matrices are int8. */
export function checkFit(
  tensors: ReadonlyMap<string, Pick<WeightTensor, 'kind' | 'shape'>>,
  table: ParameterTable,
  source: string,
): void {
  const expected = new Map(table.parameters.map((parameter) => [parameter.name, parameter]));
  const problems: string[] = [];
  for (const parameter of table.parameters) problems.push(...problemsOf(parameter, tensors.get(parameter.name)));
  for (const [name, { shape }] of tensors) {
    if (!expected.has(name)) problems.push(`tensor ${describe(name)} ${describe(shape)} has no place in the model`);
  }
  if (problems.length === 0) return;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more differences)` : '';
  throw new CheckpointError(
    `${source} doesn't fit the model: ${problems[0]}${more}.\n` +
      '  Model and checkpoint must agree in n_layer, n_embd and the size of the vocabulary.',
  );
}

function problemsOf(parameter: Parameter, found: Pick<WeightTensor, 'kind' | 'shape'> | undefined): string[] {
  const { name, shape, isMatrix } = parameter;
  if (found === undefined) return [`tensor ${name} is missing, expected ${describe(shape)}`];
  if (found.shape.length !== shape.length || found.shape.some((size, i) => size !== shape[i])) {
    return [`tensor ${name} has shape ${describe(found.shape)}, expected ${describe(shape)}`];
  }
  if (found.kind === 'int8' && !isMatrix) return [`tensor ${name} is int8, expected f32: only matrices are quantised`];
  return [];
}
