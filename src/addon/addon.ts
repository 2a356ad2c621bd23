// Loads the native addon and types its functions. Knows where the build puts it, and nothing of models or training.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Opaque handles; each keeps alive what it was made from. */
export interface NativeModel {
  readonly native: 'model';
}
export interface NativeTraining {
  readonly native: 'training';
}
export interface NativeQuantized {
  readonly native: 'quantized';
}
export interface NativeSession {
  readonly native: 'session';
}

/** The functions of native/*.c, which say what each checks. All throw RangeError with code ERR_LOOM_NATIVE. */
export interface Addon {
  isaVariants(): string[];
  alignmentGap(bytes: Uint8Array): number;
  packedFloats(shape: Int32Array, trains: boolean, bf16: boolean): number;
  createModel(
    isa: string,
    shape: Int32Array,
    offsets: Int32Array,
    weights: Float32Array,
    packed: Float32Array | null,
    bf16: boolean,
  ): NativeModel;
  modelIsa(model: NativeModel): string;
  pack(model: NativeModel, rank: number, ranks: number): void;
  createTraining(
    model: NativeModel,
    maxRows: number,
    maxScored: number,
    maxSequences: number,
    pairs: boolean,
  ): NativeTraining;
  forward(
    training: NativeTraining,
    tokens: Int32Array,
    seqStarts: Int32Array,
    sampleKeys: Int32Array,
    scoredRows: Int32Array,
    targets: Int32Array,
    weights: Float32Array,
    dropoutRate: number,
    seed: number,
    step: number,
    keepForBackward: boolean,
    firstSequences: number,
    losses: Float64Array,
  ): void;
  backward(training: NativeTraining, grads: Float32Array): void;
  createQuantized(model: NativeModel, matrices: readonly Int8Array[], scales: Float32Array): NativeQuantized;
  createSession(model: NativeModel, quantized: NativeQuantized | null): NativeSession;
  append(session: NativeSession, length: number, tokens: Int32Array, logits: Float32Array): number;
  reduce(
    grads: Float32Array,
    slots: number,
    stride: number,
    begin: number,
    end: number,
    block: number,
    squares: Float64Array,
  ): void;
  adamw(
    weights: Float32Array,
    grads: Float32Array,
    m: Float32Array,
    v: Float32Array,
    begin: number,
    end: number,
    settings: Float32Array,
  ): void;
  update(
    model: NativeModel,
    rank: number,
    ranks: number,
    grads: Float32Array,
    m: Float32Array,
    v: Float32Array,
    settings: Float32Array,
  ): void;
  allFinite(floats: Float32Array): boolean;
  exchangePaths(a: string, b: string): number;
  trimMemory(): void;
  preferHugePages(bytes: Uint8Array): void;
  measurePeak(isa: string, isBf16: boolean, rounds: number): number | null;
  measureRead(isa: string, x: Float32Array): number;
  measureTriad(isa: string, out: Float32Array, x: Float32Array, y: Float32Array, factor: number): void;
  measureLayout(kernel: number, sizes: Int32Array): number[];
  measureRun(isa: string, kernel: number, sizes: Int32Array, pack: boolean, times: number, arena: Float32Array): void;
}

/** Where scripts/build-native.mjs puts the addon: beside the compiled JavaScript, in .build/native. */
export const addonPath = fileURLToPath(new URL('../../../native/gpt_loom.node', import.meta.url));

let loaded: Addon | null | undefined;
let problem: string | null = null;

/** The addon, or null where it wasn't built or this system can't load it; `addonProblem` then says why. */
export function loadAddon(): Addon | null {
  if (loaded !== undefined) return loaded;
  try {
    loaded = createRequire(import.meta.url)(addonPath) as Addon;
  } catch (error) {
    loaded = null;
    const { code, message } = error as NodeJS.ErrnoException;
    problem = code === 'MODULE_NOT_FOUND' ? `${addonPath} isn't there` : message;
  }
  return loaded;
}

/** Why `loadAddon` returned null. */
export function addonProblem(): string | null {
  loadAddon();
  return problem;
}

/**
 * Zeroed bytes; where the addon is, they start on 64, as its kernels want it, and lie in huge pages where the system has them.
 * Throws RangeError when there is no memory.
 */
export function alignedBytes(length: number): Uint8Array {
  const addon = loadAddon();
  if (addon === null) return new Uint8Array(length);
  const bytes = new Uint8Array(length + 64);
  addon.preferHugePages(bytes);
  const gap = addon.alignmentGap(bytes);
  return bytes.subarray(gap, gap + length);
}

/** Swaps two paths in one step. False where the addon or the file system can't; throws when a path is the matter. */
export function exchangePaths(a: string, b: string): boolean {
  const errno = loadAddon()?.exchangePaths(a, b);
  return errno === 0;
}

/** Gives memory that was freed back to the system, where malloc would keep it; without the addon, nothing. */
export function trimMemory(): void {
  loadAddon()?.trimMemory();
}
