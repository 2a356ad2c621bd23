// What of a run is kept on disk, and when there is something new to keep.

import { join } from 'node:path';
import { collectWeights } from '../checkpoint/fit.js';
import type { CheckpointInfo } from '../checkpoint/info.js';
import { type LoadedCheckpoint, loadCheckpoint } from '../checkpoint/load.js';
import { CheckpointError } from '../errors.js';
import type { ParameterTable } from '../model/parameters.js';
import type { NamedWeights } from '../model/weights.js';
import { CheckpointWriter, type LiveState } from './checkpoint-writer.js';
import type { CheckpointEvent, EndEvent } from './events.js';
import type { TrainInputs } from './inputs.js';
import { checkpointInfo, type Progress, trainingState } from './progress.js';

export interface RunCheckpointsOptions {
  readonly inputs: TrainInputs;
  readonly table: ParameterTable;
  readonly live: LiveState;
  readonly progress: Progress;
  readonly emit: (event: CheckpointEvent) => void;
  /** Called after each save in the background, whether it succeeded or not. */
  readonly onSettled: () => void;
  readonly warn: (message: string) => void;
}

export class RunCheckpoints {
  private readonly writer: CheckpointWriter;
  /** The step and the evaluation that `last` on disk holds. */
  private saved: Pick<Progress, 'step' | 'lastEvaluation'> = { step: 0, lastEvaluation: null };

  constructor(private readonly options: RunCheckpointsOptions) {
    const { inputs, table, live, emit, onSettled } = options;
    const { saveDir } = inputs.config.training;
    this.writer = new CheckpointWriter({
      saveDir,
      table,
      tokenizerJson: inputs.tokenizerJson,
      live,
      emit,
      onSettled,
      syncRecord: inputs.syncRecord,
    });
  }

  /** 0: nothing of this run. */
  get savedStep(): number {
    return this.saved.step;
  }

  /** To be called once, before the first step: the state is that of the start, or of the checkpoint that is resumed. */
  begin(): void {
    const { step, lastEvaluation } = this.options.progress;
    this.saved = { step, lastEvaluation };
    this.writer.remember(step);
  }

  /** Puts weights and moments back to the last copy, on disk or not; returns the step they belong to. */
  restore(): number {
    return this.writer.restore();
  }

  /** Saves `last` unless it is saved; whether it did. Before the first step it isn't touched: an older run's may lie there. */
  async saveLast(): Promise<boolean> {
    const { inputs, progress } = this.options;
    const { step, lastEvaluation } = progress;
    if (step === 0 || (step === this.saved.step && lastEvaluation === this.saved.lastEvaluation)) return false;
    this.saved = { step, lastEvaluation };
    await this.writer.saveLast(this.info(), trainingState(inputs, progress));
    return true;
  }

  async saveBest(): Promise<void> {
    await this.writer.saveBest(this.info());
  }

  /** The int8 copy of the best weights, where there are any. */
  async saveQuantized(reason: EndEvent['reason']): Promise<void> {
    const model = await this.modelToQuantize(reason);
    if (model) await this.writer.saveQuantized(model.info, model.weights);
  }

  throwIfFailed(): void {
    this.writer.throwIfFailed();
  }

  async finish(): Promise<void> {
    await this.writer.finish();
  }

  async settle(): Promise<void> {
    await this.writer.settle();
  }

  /** The weights of the best evaluation, of this process or of the one it resumed; before any, the present ones. */
  private async modelToQuantize(
    reason: EndEvent['reason'],
  ): Promise<{ weights: NamedWeights; info: CheckpointInfo } | null> {
    const { table, live, progress } = this.options;
    if (this.writer.best) return this.writer.best;
    if (progress.bestStep !== null) {
      const best = await this.loadBest();
      if (best !== null) return { weights: best.tensors, info: best.info };
    }
    if (progress.step === 0 || reason === 'diverged') return null;
    return { weights: collectWeights(live.weights, table), info: this.info() };
  }

  /** `last` may have been taken elsewhere without it: no reason to end in an error after all the training. */
  private async loadBest(): Promise<LoadedCheckpoint | null> {
    try {
      return await loadCheckpoint(join(this.options.inputs.config.training.saveDir, 'best'));
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      const [problem] = error.message.split('\n');
      this.options.warn(`the int8 copy is made of the last weights, since the best ones can't be read: ${problem}`);
      const { progress } = this.options;
      progress.bestEvalLoss = null; // There are none any more.
      progress.bestStep = null;
      return null;
    }
  }

  private info(): CheckpointInfo {
    const { inputs, progress } = this.options;
    return checkpointInfo(progress, inputs.tokenizer.vocabSize, inputs.configRecord);
  }
}
