// Chooses the engine: what was asked for, or the fastest that this machine has. The one place that knows all engines.

import { addonProblem, loadAddon } from '../addon/addon.js';
import { EngineError } from '../errors.js';
import type { ModelShape } from '../model/shape.js';
import type { NamedWeights } from '../model/weights.js';
import type { BatchCapacity, InferenceEngine, TrainingEngine } from './engine.js';
import { createNativeTraining, type NativeBuffers, nativePackedFloats } from './native.js';
import { createLiveNativeInference, createNativeInference } from './native-inference.js';

/** What a worker needs to know to make the same engine as its peers; can be posted. */
export interface EngineSelection {
  readonly engine: 'native';
  /** Instruction set of the native engine. */
  readonly isa: string;
  readonly precision: 'fp32';
}

const ISA_NAMES: Record<string, string> = { avx512: 'AVX-512', avx2: 'AVX2', neon: 'NEON', plain: 'plain C' };

/** Throws EngineError when the choice can't be had here; says why and what to do instead. */
export function selectEngine(choice: 'auto' | 'native' | 'tfjs', precision: 'auto' | 'fp32' | 'bf16'): EngineSelection {
  if (choice === 'tfjs') {
    throw new EngineError(
      'engine: tfjs was asked for, but this version has the native engine only.\n' +
        '  Use engine: auto or native in config.yaml, or --engine native.',
    );
  }
  if (precision === 'bf16') {
    throw new EngineError(
      'precision: bf16 was asked for, but this version computes in fp32 only.\n' +
        '  Use precision: auto or fp32 in config.yaml, or --precision fp32.',
    );
  }
  const addon = loadAddon();
  if (!addon) {
    throw new EngineError(
      `engine: ${choice} needs the native engine, and it can't be loaded: ${addonProblem()}.\n` +
        '  It is built during set-up. Install a C compiler (Debian: apt install gcc libc6-dev; macOS: xcode-select --install)\n' +
        '  and run: npm run setup. `gpt-loom doctor` shows what is missing.',
    );
  }
  return { engine: 'native', isa: addon.isaVariants()[0], precision: 'fp32' };
}

/** One line for people: `native (AVX2)`. */
export function describeEngine(selection: EngineSelection): { name: string; detail: string } {
  return { name: selection.engine, detail: ISA_NAMES[selection.isa] ?? selection.isa };
}

/** Floats of shared memory that the engine wants for its own copies of the weights. */
export function packedFloats(_selection: EngineSelection, shape: ModelShape): number {
  return nativePackedFloats(shape);
}

export function createTrainingEngine(
  selection: Pick<EngineSelection, 'engine' | 'isa'> & { readonly shape: ModelShape },
  buffers: Pick<NativeBuffers, 'table' | 'weights' | 'packed'>,
  capacity: BatchCapacity,
): TrainingEngine {
  return createNativeTraining({ shape: selection.shape, isa: selection.isa, ...buffers }, capacity);
}

/** An engine over the weights of a checkpoint, f32 or int8. */
export function createInferenceEngine(
  choice: 'auto' | 'native' | 'tfjs',
  shape: ModelShape,
  weights: NamedWeights,
): InferenceEngine {
  selectEngine(choice, 'auto');
  return createNativeInference(shape, weights);
}

/** An engine over the weights of a training that goes on, to be used between two steps. */
export function createLiveInference(selection: EngineSelection, buffers: Omit<NativeBuffers, 'isa'>): InferenceEngine {
  return createLiveNativeInference({ ...buffers, isa: selection.isa });
}
