// Writes checkpoints while training goes on: copies weights and moments between two steps, then saves the copy in the background.

import { join } from 'node:path';
import { trimMemory } from '../addon/addon.js';
import { collectWeights } from '../checkpoint/fit.js';
import type { CheckpointInfo } from '../checkpoint/info.js';
import type { CheckpointKind } from '../checkpoint/names.js';
import { quantizeWeights } from '../checkpoint/quantize.js';
import { type CheckpointContent, saveCheckpoint } from '../checkpoint/save.js';
import type { TrainingState } from '../checkpoint/training-state.js';
import type { ParameterTable } from '../model/parameters.js';
import type { NamedWeights } from '../model/weights.js';
import type { CheckpointEvent } from './events.js';

export interface LiveState {
  readonly weights: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

export interface WriterOptions {
  readonly saveDir: string;
  readonly table: ParameterTable;
  readonly tokenizerJson: string;
  readonly live: LiveState;
  /** Called when a checkpoint is safe on the device. */
  readonly emit: (event: CheckpointEvent) => void;
  /** Called after each save, whether it succeeded or not. */
  readonly onSettled?: () => void;
  /** See TrainInputs. */
  readonly syncRecord?: () => Promise<void>;
}

/** It takes some milliseconds where there is much to give back. */
const MS_BETWEEN_TRIMS = 10_000;

export class CheckpointWriter {
  /** Copies, made when first needed and used again: a save owns its copy until it has finished. */
  private lastCopy: (LiveState & { step: number }) | null = null;
  private bestCopy: Float32Array | null = null;
  private bestInfo: CheckpointInfo | null = null;
  private readonly running = new Map<CheckpointKind, Promise<void>>();
  private failure: unknown = null;
  /** The first save that failed ended the run, even if the saves that were queued behind it could go on. */
  private firstFailure: unknown = null;
  private trimmedAt = performance.now();

  constructor(private readonly options: WriterOptions) {}

  /** What `saveBest` saved last in this process, or null. */
  get best(): { weights: NamedWeights; info: CheckpointInfo } | null {
    const { bestCopy, bestInfo } = this;
    return bestCopy && bestInfo && { weights: collectWeights(bestCopy, this.options.table), info: bestInfo };
  }

  /** Weights and all that a resumed run needs. Resolves as soon as the copy is made. */
  async saveLast(info: CheckpointInfo, state: TrainingState): Promise<void> {
    await this.idle('last');
    const { table } = this.options;
    const { weights, m, v } = this.remember(info.step);
    this.start('last', info, collectWeights(weights, table), {
      state,
      m: collectWeights(m, table),
      v: collectWeights(v, table),
    });
  }

  /** Copies what `restore` will go back to: the state at the end of `step`. A save of `last` does it too. */
  remember(step: number): LiveState {
    const { weights, m, v } = this.options.live;
    this.lastCopy ??= {
      weights: new Float32Array(weights.length),
      m: new Float32Array(m.length),
      v: new Float32Array(v.length),
      step,
    };
    copyState(this.options.live, this.lastCopy);
    this.lastCopy.step = step;
    return this.lastCopy;
  }

  /** Puts weights and moments back as they were last remembered; returns the step they belong to. */
  restore(): number {
    copyState(this.lastCopy!, this.options.live); // A run remembers its start before its first step.
    return this.lastCopy!.step;
  }

  /** Weights alone. Resolves as soon as the copy is made. */
  async saveBest(info: CheckpointInfo): Promise<void> {
    await this.idle('best');
    const { live, table } = this.options;
    this.bestCopy ??= new Float32Array(live.weights.length);
    this.bestCopy.set(live.weights);
    this.bestInfo = info;
    this.start('best', info, collectWeights(this.bestCopy, table));
  }

  /** int8 weights, quantised here. `weights` must not change until `finish`. */
  async saveQuantized(info: CheckpointInfo, weights: NamedWeights): Promise<void> {
    await this.idle('quantized');
    this.start('quantized', info, quantizeWeights(weights, this.options.table));
  }

  /** Throws what made a background save fail, once. */
  throwIfFailed(): void {
    const { failure } = this;
    this.failure = null;
    if (failure) throw failure;
  }

  /** Waits for all saves. */
  async finish(): Promise<void> {
    await this.settle();
    this.throwIfFailed();
  }

  /** Waits for all saves, whatever becomes of them. */
  async settle(): Promise<void> {
    await Promise.all(this.running.values());
  }

  private start(
    kind: CheckpointKind,
    info: CheckpointInfo,
    tensors: NamedWeights,
    training?: CheckpointContent['training'],
  ): void {
    const path = join(this.options.saveDir, kind);
    const { tokenizerJson, emit } = this.options;
    const content = { info, tensors, tokenizerJson, training };
    const beforeSwap = kind === 'last' ? () => this.beforeLast() : undefined;
    const save = saveCheckpoint(path, content, undefined, beforeSwap).then(
      ({ writeMs }) => {
        this.trim();
        emit({ type: 'checkpoint', kind, step: info.step, path, writeMs });
      },
      (error: unknown) => {
        this.failure ??= error;
        this.firstFailure ??= error;
      },
    );
    this.running.set(
      kind,
      save.finally(() => this.options.onSettled?.()),
    );
  }

  /** What the state in `last` tells of must be on the device by then: the best weights, and the lines of the steps. */
  private async beforeLast(): Promise<void> {
    if (this.firstFailure) throw this.firstFailure;
    await this.options.syncRecord?.();
  }

  /** A save takes memory for a moment, in pieces that malloc doesn't find together again: a run of hours would grow. */
  private trim(): void {
    if (performance.now() - this.trimmedAt < MS_BETWEEN_TRIMS) return;
    trimMemory();
    this.trimmedAt = performance.now();
  }

  /** The copy of this kind may be overwritten again. */
  private async idle(kind: CheckpointKind): Promise<void> {
    await this.running.get(kind);
    this.throwIfFailed();
  }
}

function copyState(from: LiveState, to: LiveState): void {
  to.weights.set(from.weights);
  to.m.set(from.m);
  to.v.set(from.v);
}
