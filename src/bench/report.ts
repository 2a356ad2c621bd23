// What a benchmark found, as `gpt-loom bench --json` prints it. Types only. Every share is of the peak of its precision (FP32 where
// none is named) that was measured in the same run, 0 to 1; null where there is no peak to compare with.

import type { Precision } from '../engine/engine.js';
import type { ModelShape } from '../model/shape.js';

export type { Precision };

/** A precision that was measured. */
export interface PrecisionUse {
  readonly precision: Precision;
  /** Computed without the processor's own instructions, which there are none of: slowly, and with no peak to compare with. */
  readonly isEmulated: boolean;
}

export interface BenchReport {
  readonly format: 2;
  /** When it began, ISO 8601. */
  readonly date: string;
  readonly isQuick: boolean;
  readonly machine: MachineFacts;
  readonly engine: { readonly name: string; readonly detail: string; readonly precisions: readonly PrecisionUse[] };
  readonly model: ModelShape & { readonly parameters: number };
  /** Null: no such instructions here, or no native engine to use them. */
  readonly peaks: Readonly<Record<Precision, Peak | null>>;
  /** Null without the native engine. */
  readonly memory: MemoryFigures | null;
  /** Null without the native engine. */
  readonly kernels: KernelFigures | null;
  readonly steps: readonly StepFigures[];
  readonly inference: readonly InferenceFigures[];
  /** From the start of the process `gpt-loom infer` to the first token of its answer; median. */
  readonly firstTokenMs: number;
  /** Processors that other programs kept busy meanwhile; null where that can't be told. */
  readonly othersBusy: number | null;
  /** Sentences: what makes the figures worth less. */
  readonly warnings: readonly string[];
}

export interface MachineFacts {
  readonly cpu: string;
  readonly platform: string;
  readonly node: string;
  /** Cores, and hardware threads, that this process may use. */
  readonly physicalCores: number;
  readonly logicalCores: number;
  /** Vector instruction sets as Linux names them. */
  readonly features: readonly string[];
}

/** GFLOPS; a multiply-add counts as two. */
export interface Peak {
  readonly oneThread: number;
  readonly threads: number;
  /** All `threads` together, at the same time. */
  readonly allThreads: number;
}

/** GB/s (10^9 bytes). */
export interface MemoryFigures {
  /** Of the arrays together. */
  readonly bytes: number;
  readonly threads: number;
  readonly read: { readonly oneThread: number; readonly allThreads: number };
  /** a = b + c * x: two arrays read and one written, 12 bytes an element. */
  readonly triad: { readonly oneThread: number; readonly allThreads: number };
}

/** On one thread. */
export interface KernelFigures {
  /** Tokens in the micro-batch that the kernels work on. */
  readonly rows: number;
  /** In each precision that was measured. */
  readonly products: readonly ProductSet[];
  /** Float32 in every precision, packing apart. */
  readonly others: readonly OtherKernel[];
}

export interface ProductSet extends PrecisionUse {
  readonly matrices: readonly ProductFigures[];
  /** All products of a step's micro-batch together, each as often as the model has it. */
  readonly all: ProductSpeed;
}

/** A matrix W (outputs, inputs) of the model, times the activations of the micro-batch. */
export interface ProductFigures {
  readonly name: string;
  readonly outputs: number;
  readonly inputs: number;
  /** How many such matrices the model has. */
  readonly matrices: number;
  /** Y = X . W^T, dX = dY . W, dW = dY^T . X. */
  readonly forward: ProductSpeed;
  readonly dX: ProductSpeed;
  readonly dW: ProductSpeed;
}

export interface ProductSpeed {
  /** The product alone, its right operand packed already. */
  readonly alone: Speed;
  /** Packing it counted in for every product. Training packs the weights once a step, for all micro-batches. */
  readonly withPacking: Speed;
}

export interface Speed {
  readonly gflops: number;
  readonly share: number | null;
}

export interface OtherKernel {
  readonly name: string;
  /** For the whole micro-batch, one layer (attention, RMSNorm), or for all parameters. */
  readonly ms: number;
  /** Useful FLOPs, where that says something. */
  readonly gflops: number | null;
  readonly share: number | null;
  /** Least traffic: every operand once. */
  readonly gbPerSec: number | null;
}

export interface StepFigures extends PrecisionUse {
  readonly workers: number;
  readonly mergeDuplicates: boolean;
  /** Steps that were measured. */
  readonly steps: number;
  readonly medianMs: number;
  /** Median milliseconds of each phase, averaged over the workers; `other` is the rest of the median step. */
  readonly phases: Readonly<Record<StepPhase, number>>;
  /** Every sample counted, also copies that were computed once. */
  readonly tokensPerSec: number;
  /** Useful FLOPs of what was really computed. */
  readonly gflops: number;
  /** Of one core's peak times min(workers, physical cores). */
  readonly share: number | null;
  /** Against 1 worker with the same setting, round by round. */
  readonly speedUp: number;
}

export type StepPhase = 'forward' | 'backward' | 'reduce' | 'update' | 'wait' | 'other';

/** One answer at a time, sampling included; tokens a second, the median over the answers. */
export interface InferenceFigures {
  readonly weights: 'fp32' | 'int8';
  readonly promptTokens: number;
  readonly answerTokens: number;
  readonly prefillTokensPerSec: number;
  readonly decodeTokensPerSec: number;
}
