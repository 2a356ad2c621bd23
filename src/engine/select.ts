// Chooses the engine: what was asked for, or the fastest that this machine has. The one place that knows all engines.

import { addonProblem, loadAddon } from '../addon/addon.js';
import { EngineError } from '../errors.js';
import type { ModelShape } from '../model/shape.js';
import type { NamedWeights } from '../model/weights.js';
import type { BatchCapacity, InferenceEngine, Precision, TrainingEngine } from './engine.js';
import { chooseIsa } from './isa.js';
import { createNativeTraining, type NativeBuffers, nativePackedFloats } from './native.js';
import { createLiveNativeInference, createNativeInference } from './native-inference.js';
import { chooseBackend, loadTfjs, requireTfjs } from './tfjs-backend.js';
import type * as TfjsInference from './tfjs-inference.js';
import type { TfjsBackend } from './tfjs-types.js';

/** What a worker needs to know to make the same engine as its peers; can be posted. */
export type EngineSelection = NativeSelection | TfjsSelection;

interface CommonSelection {
  readonly precision: Precision;
  /** One line for people when this isn't the fastest engine there is: why, and how to get that one. */
  readonly notice: string | null;
}

export interface NativeSelection extends CommonSelection {
  readonly engine: 'native';
  /** Instruction set of the native engine. */
  readonly isa: string;
}

export interface TfjsSelection extends CommonSelection {
  readonly engine: 'tfjs';
  readonly backend: TfjsBackend;
}

const ISA_NAMES: Record<string, string> = {
  avx512bf16: 'AVX-512',
  avx512: 'AVX-512',
  avx2: 'AVX2',
  neon: 'NEON',
  plain: 'plain C',
};
/** Instruction sets that multiply bfloat16 numbers faster than float32. */
const BF16_ISAS = ['avx512bf16'];
/** Set to 1, it lets the others compute the same rounded products, slowly: to see what bf16 does to a model. */
const EMULATE_BF16 = 'GPT_LOOM_EMULATE_BF16';
const BACKEND_NAMES: Record<TfjsBackend, string> = {
  tensorflow: 'TensorFlow',
  wasm: 'WebAssembly',
  cpu: 'plain JavaScript',
};
const HOW_TO_BUILD =
  'It is built during set-up. Install a C compiler (Debian: apt install gcc libc6-dev; macOS: xcode-select --install)\n' +
  '  and run: npm run setup. `gpt-loom doctor` shows what is missing.';

/** Throws EngineError when the choice can't be had here; says why and what to do instead. Loads nothing of TensorFlow.js yet. */
export function selectEngine(
  engine: 'auto' | 'native' | 'tfjs',
  precision: 'auto' | 'fp32' | 'bf16',
  backend: TfjsBackend | 'auto' = 'auto',
): EngineSelection {
  if (precision === 'bf16') return selectBf16(engine);
  if (engine === 'tfjs') return { engine, backend: chooseBackend(backend), precision: 'fp32', notice: null };
  const addon = loadAddon();
  if (addon) return { engine: 'native', isa: chooseIsa(addon), precision: 'fp32', notice: null };
  if (engine === 'native') {
    throw new EngineError(
      `engine: native can't be loaded: ${addonProblem()}.\n  ${HOW_TO_BUILD}\n` +
        '  Or use engine: tfjs in config.yaml, or --engine tfjs: slower, but it needs no compiler.',
    );
  }
  return withoutAddon(backend);
}

/** Whether its processor has no instructions for the rounded products and computes them another way: slowly. */
export function isEmulated(selection: EngineSelection): boolean {
  return selection.engine === 'native' && selection.precision === 'bf16' && !BF16_ISAS.includes(selection.isa);
}

/** The same engine in the other precision; null where it can't be had. Emulation counts where it is asked for. */
export function inOtherPrecision(selection: EngineSelection): NativeSelection | null {
  if (selection.engine !== 'native') return null;
  const { engine, isa } = selection;
  return selection.precision === 'bf16' ? { engine, isa, precision: 'fp32', notice: null } : bf16With(isa);
}

/** Imported where it is used only: the native engine starts faster without it. */
let tfjsInference: typeof TfjsInference | undefined;

/** Makes the engine's library ready in this thread. On the main thread before a Coordinator or live inference is made. */
export async function prepareEngine(selection: EngineSelection): Promise<void> {
  if (selection.engine !== 'tfjs') return;
  await loadTfjs(selection.backend);
  tfjsInference = await import('./tfjs-inference.js');
}

/** For people: `native` and `AVX2`, `tfjs` and `WebAssembly`. */
export function describeEngine(selection: EngineSelection): { name: string; detail: string } {
  const detail =
    selection.engine === 'native' ? (ISA_NAMES[selection.isa] ?? selection.isa) : BACKEND_NAMES[selection.backend];
  return { name: selection.engine, detail };
}

/** Floats of shared memory that the engine wants for its own copies of the weights. */
export function packedFloats(selection: EngineSelection, shape: ModelShape): number {
  return selection.engine === 'native' ? nativePackedFloats(shape, 'training', selection.precision) : 0;
}

export async function createTrainingEngine(
  selection: EngineSelection,
  buffers: Omit<NativeBuffers, 'isa' | 'precision'>,
  capacity: BatchCapacity,
): Promise<TrainingEngine> {
  if (selection.engine === 'tfjs') {
    const { createTfjsTraining } = await import('./tfjs.js');
    return createTfjsTraining(await loadTfjs(selection.backend), buffers);
  }
  return createNativeTraining({ ...buffers, isa: selection.isa, precision: selection.precision }, capacity);
}

/** An engine over the weights of a checkpoint, f32 or int8. */
export async function createInferenceEngine(
  selection: EngineSelection,
  shape: ModelShape,
  weights: NamedWeights,
): Promise<InferenceEngine> {
  if (selection.engine === 'tfjs') {
    const { createTfjsInference } = await import('./tfjs-inference.js');
    return createTfjsInference(await loadTfjs(selection.backend), shape, weights);
  }
  return createNativeInference(shape, weights, selection.isa);
}

/** An engine over the weights of a training that goes on, to be used between two steps; after prepareEngine. */
export function createLiveInference(
  selection: EngineSelection,
  buffers: Omit<NativeBuffers, 'isa' | 'precision'>,
): InferenceEngine {
  if (selection.engine === 'tfjs') {
    if (tfjsInference === undefined) throw new Error('live inference with tfjs was asked for before prepareEngine');
    return tfjsInference.createLiveTfjsInference(requireTfjs(selection.backend), buffers);
  }
  return createLiveNativeInference({ ...buffers, isa: selection.isa, precision: selection.precision });
}

function selectBf16(engine: 'auto' | 'native' | 'tfjs'): NativeSelection {
  const addon = engine === 'tfjs' ? null : loadAddon();
  const isa = addon === null ? undefined : chooseIsa(addon);
  const selection = isa === undefined ? null : bf16With(isa);
  if (selection !== null) return selection;
  const found =
    engine === 'tfjs'
      ? 'engine: tfjs computes in fp32'
      : isa === undefined
        ? `the native engine can't be loaded: ${addonProblem()}`
        : `this one offers ${ISA_NAMES[isa] ?? isa}`;
  throw new EngineError(
    'precision: bf16 needs the native engine on a processor with AVX512_BF16 ' +
      `(AMD from Zen 4 on, Intel Xeon from Sapphire Rapids on); ${found}.\n` +
      '  Use precision: auto or fp32 in config.yaml, or --precision fp32.',
  );
}

function bf16With(isa: string): NativeSelection | null {
  const selection = { engine: 'native', isa, precision: 'bf16' } as const;
  if (!isEmulated({ ...selection, notice: null })) return { ...selection, notice: null };
  if (process.env[EMULATE_BF16] !== '1') return null;
  return { ...selection, notice: `precision: bf16 is emulated, since ${EMULATE_BF16} is 1: slow.` };
}

function withoutAddon(choice: TfjsBackend | 'auto'): TfjsSelection {
  const problem = addonProblem();
  let backend: TfjsBackend;
  try {
    backend = chooseBackend(choice);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError(
      `engine: auto finds no engine. The native engine can't be loaded: ${problem}.\n  ${HOW_TO_BUILD}\n` +
        `  And the engine that needs no compiler is missing too: ${error.message}`,
    );
  }
  const notice =
    `engine: tfjs (${BACKEND_NAMES[backend]}) instead of the native engine, which can't be loaded: ${problem}. ` +
    'To get it, which is several times faster: install a C compiler (gcc or clang) and run npm run setup.';
  return { engine: 'tfjs', backend, precision: 'fp32', notice };
}
