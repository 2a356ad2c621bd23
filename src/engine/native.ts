// The native engine: one model of C kernels over flat shared weights, and training with it. See native/kernels/model.c.

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
  /** Panels of all matrices, on 64 bytes, nativePackedFloats(shape) long; shared by all threads that share the weights. */
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

/** Floats of the packed copies of all matrices, forward and backward. */
export function nativePackedFloats(shape: ModelShape): number {
  return requireAddon().packedFloats(shapeNumbers(shape));
}

export function createNativeModel(buffers: NativeBuffers): NativeModel {
  const { shape, table, weights, packed, isa = '', precision } = buffers;
  const offsets = Int32Array.from(table.parameters, (p) => p.offset);
  return requireAddon().createModel(isa, shapeNumbers(shape), offsets, weights, packed, precision === 'bf16');
}

export function createNativeTraining(buffers: NativeBuffers, capacity: BatchCapacity): TrainingEngine {
  const addon = requireAddon();
  const model = createNativeModel(buffers);
  const training = addon.createTraining(model, capacity.rows, capacity.scored, capacity.sequences);
  const run = (b: PackedBatch, d: DropoutKey, keep: boolean) =>
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
    );
  // The kernels read the batch's arrays again in backward: this keeps them from being collected until then.
  const held: PackedBatch[] = [];
  return {
    refresh: (rank, ranks) => addon.pack(model, rank, ranks),
    forward: (batch, dropout) => {
      held[0] = batch;
      return run(batch, dropout, true);
    },
    backward: (grads) => {
      addon.backward(training, grads);
      held.length = 0;
    },
    loss: (batch) => run(batch, NO_DROPOUT, false),
  };
}

function shapeNumbers({ nLayer, nHead, nEmbd, vocabSize, seqLen }: ModelShape): Int32Array {
  return Int32Array.of(nLayer, nHead, nEmbd, vocabSize, seqLen);
}
