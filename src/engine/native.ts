// The native engine: one model of C kernels over flat shared weights, and training with it. See native/kernels/passes.c.

import { type Addon, addonProblem, loadAddon, type NativeModel } from '../addon/addon.js';
import { EngineError } from '../errors.js';
import type { ParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import type { BatchCapacity, DropoutKey, PackedBatch, Precision, TrainingEngine } from './engine.js';

export interface NativeBuffers {
  readonly shape: ModelShape;
  readonly table: ParameterTable;
  /** Flat, on 64 bytes, as long as table.flatLength. */
  readonly weights: Float32Array;
  /** Panels of all matrices, on 64 bytes, nativePackedFloats long; shared by all threads that share the weights. */
  readonly packed: Float32Array;
  /** Instruction set by name; absent: the fastest that this CPU has. */
  readonly isa?: string;
  /** What linear layers multiply; they sum in f32 either way. Absent: fp32. */
  readonly precision?: Precision;
}

const NO_DROPOUT: DropoutKey = { rate: 0, seed: 0, step: 0 };

/** The addon, or an EngineError that says how to get it. */
export function requireAddon(): Addon {
  const addon = loadAddon();
  if (addon) return addon;
  throw new EngineError(
    `the native engine can't be used: ${addonProblem()}.\n` +
      '  It is built by set-up from C sources. Run: npm run setup (it needs a C compiler: gcc or clang).',
  );
}

/** Floats of the packed copies of all matrices: forward and backward, or what inference needs of them. In bf16 half as many. */
export function nativePackedFloats(
  shape: ModelShape,
  purpose: 'training' | 'inference' = 'training',
  precision: Precision = 'fp32',
): number {
  return requireAddon().packedFloats(shapeNumbers(shape), purpose === 'training', precision === 'bf16');
}

export function createNativeModel(buffers: NativeBuffers): NativeModel {
  const { shape, table, weights, packed, isa = '', precision } = buffers;
  const offsets = Int32Array.from(table.parameters, (p) => p.offset);
  return requireAddon().createModel(isa, shapeNumbers(shape), offsets, weights, packed, precision === 'bf16');
}

export function createNativeTraining(buffers: NativeBuffers, capacity: BatchCapacity): TrainingEngine {
  const addon = requireAddon();
  const model = createNativeModel(buffers);
  const { rows, scored, sequences, pairs = false } = capacity;
  const training = addon.createTraining(model, rows, scored, sequences, pairs);
  const one = new Float64Array(1);
  // The kernels read the batch's arrays again in backward: this keeps them from being collected until then.
  const held: PackedBatch[] = [];
  const run = (b: PackedBatch, d: DropoutKey, keep: boolean, first: number, losses: Float64Array) => {
    if (keep) held[0] = b;
    addon.forward(
      training,
      b.tokens,
      b.seqStarts,
      b.sampleKeys,
      b.scoredRows,
      b.targets,
      b.weights,
      d.rate,
      d.seed,
      d.step,
      keep,
      first,
      losses,
    );
  };
  const runOne = (batch: PackedBatch, dropout: DropoutKey, keep: boolean) => {
    run(batch, dropout, keep, batch.sampleKeys.length, one);
    return one[0];
  };
  return {
    refresh: (rank, ranks) => addon.pack(model, rank, ranks),
    update: (rank, ranks, grads, m, v, step) => addon.update(model, rank, ranks, grads, m, v, step),
    forward: (batch, dropout) => runOne(batch, dropout, true),
    backward: (grads) => {
      addon.backward(training, grads);
      held.length = 0;
    },
    loss: (batch) => runOne(batch, NO_DROPOUT, false),
    pairs: { forward: (batch, first, dropout, losses) => run(batch, dropout, true, first, losses) },
  };
}

/** The shape as the addon takes it. */
export function shapeNumbers({ nLayer, nHead, nEmbd, vocabSize, seqLen }: ModelShape): Int32Array {
  return Int32Array.of(nLayer, nHead, nEmbd, vocabSize, seqLen);
}
