// The training run: an async generator of events. Prints nothing; whoever iterates decides what is shown and recorded.
// The run advances only while somebody takes its events.

import { join } from 'node:path';
import { collectWeights } from '../checkpoint/fit.js';
import type { CheckpointInfo } from '../checkpoint/info.js';
import { loadCheckpoint } from '../checkpoint/load.js';
import type { Config } from '../config/config.js';
import type { Corpus } from '../data/corpus.js';
import type { Row } from '../data/jsonl.js';
import { createDataOrder, type DataOrder } from '../data/order.js';
import type { InferenceEngine } from '../engine/engine.js';
import { createLiveInference, type EngineSelection } from '../engine/select.js';
import { createParameterTable, type ParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import type { NamedWeights } from '../model/weights.js';
import { learningRate } from '../optim/schedule.js';
import { Coordinator } from '../parallel/coordinator.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { CheckpointWriter } from './checkpoint-writer.js';
import { RunControl } from './control.js';
import type { EndEvent, TrainEvent } from './events.js';
import { checkpointInfo, createProgress, fingerprintsOf, resumeProgress, trainingState } from './progress.js';
import { endEvent, startEvent, stepEvent } from './report.js';
import { answer, answerSamples, chooseSamples } from './samples.js';
import { loadStart } from './start-state.js';

export interface TrainInputs {
  readonly config: Config;
  /** The configuration as checkpoints record it: snake_case. */
  readonly configRecord: CheckpointInfo['config'];
  readonly selection: EngineSelection;
  readonly workers: number;
  readonly tokenizer: Tokenizer;
  readonly tokenizerJson: string;
  readonly train: Corpus;
  readonly validation: Corpus;
  readonly validationRows: readonly Row[];
  /** Continue from save_dir/last. */
  readonly resume: boolean;
  /** Validation prompts to answer after each evaluation; 0: none, which saves their time. */
  readonly samplePrompts: number;
}

export interface TrainingRun {
  readonly events: AsyncGenerator<TrainEvent, void>;
  readonly control: RunControl;
  /** A greedy answer of the present model, at the next step boundary. */
  ask(prompt: string): Promise<string>;
}

/** So many steps in a row without a finite loss and gradient end the run. */
const NON_FINITE_LIMIT = 3;

interface Question {
  readonly prompt: string;
  readonly resolve: (text: string) => void;
  readonly reject: (error: unknown) => void;
}

export function startTraining(inputs: TrainInputs): TrainingRun {
  const control = new RunControl();
  const questions: Question[] = [];
  return {
    control,
    events: new Run(inputs, control, questions).events(),
    ask: (prompt) =>
      new Promise((resolve, reject) => {
        questions.push({ prompt, resolve, reject });
        control.wakeUp();
      }),
  };
}

class Run {
  private readonly shape: ModelShape;
  private readonly table: ParameterTable;
  private readonly coordinator: Coordinator;
  private readonly writer: CheckpointWriter;
  private readonly order: DataOrder;
  private readonly inference: InferenceEngine;
  private readonly samples: readonly Row[];
  /** Events that happened beside the loop, e.g. a checkpoint that has reached the disk. */
  private readonly aside: TrainEvent[] = [];

  private readonly progress = createProgress();
  private savedStep = -1;

  constructor(
    private readonly inputs: TrainInputs,
    private readonly control: RunControl,
    private readonly questions: Question[],
  ) {
    const { config, selection, tokenizer, train, validation, workers } = inputs;
    const { nLayer, nHead, nEmbd, seqLen } = config.model;
    const { batchSize, microBatch, mergeDuplicates, saveDir, seed } = config.training;
    this.shape = { nLayer, nHead, nEmbd, seqLen, vocabSize: tokenizer.vocabSize };
    this.table = createParameterTable(this.shape);
    this.coordinator = new Coordinator({
      selection,
      shape: this.shape,
      table: this.table,
      train,
      validation,
      batchSize,
      microBatches: batchSize / microBatch,
      mergeDuplicates,
      workers,
    });
    const { arena } = this.coordinator;
    this.writer = new CheckpointWriter({
      saveDir,
      table: this.table,
      tokenizerJson: inputs.tokenizerJson,
      live: arena,
      emit: (event) => this.aside.push(event),
    });
    this.order = createDataOrder({ samples: train.count, batchSize, seed, shuffle: config.data.shuffle });
    this.inference = createLiveInference(selection, {
      shape: this.shape,
      table: this.table,
      weights: arena.weights,
      packed: arena.packed,
    });
    this.samples = chooseSamples(inputs.validationRows, inputs.samplePrompts, tokenizer, seqLen);
    control.activities = () => this.coordinator.activities();
  }

  async *events(): AsyncGenerator<TrainEvent, void> {
    const { maxSteps } = this.inputs.config.training;
    try {
      await this.prepare();
      yield startEvent(this.inputs, this.shape, this.table.count, this.progress);
      let reason: EndEvent['reason'] = 'done';
      while (this.progress.step < maxSteps) {
        yield* this.serveRequests();
        if (this.control.stopRequested) reason = 'stopped';
        else if (this.progress.nonFiniteSteps >= NON_FINITE_LIMIT) reason = 'diverged';
        else if (this.isOutOfPatience()) reason = 'early-stopping';
        if (reason !== 'done') break;
        yield* this.trainStep();
        yield* this.afterStep();
      }
      yield* this.finish(reason);
    } finally {
      this.control.activities = () => [];
      for (const { reject } of this.questions.splice(0)) reject(new Error('the run has ended'));
      await this.coordinator.close();
    }
  }

  private async prepare(): Promise<void> {
    const { config, resume } = this.inputs;
    const state = await loadStart(config, resume, fingerprintsOf(this.inputs), this.table, this.coordinator.arena);
    if (state) {
      resumeProgress(this.progress, state);
      this.savedStep = state.step;
    }
    await this.coordinator.refresh();
  }

  /** One optimizer step over the next batch. */
  private async *trainStep(): AsyncGenerator<TrainEvent, void> {
    const { model, training } = this.inputs.config;
    const step = this.progress.step + 1;
    const lr = learningRate(training, step);
    const started = performance.now();
    const result = await this.coordinator.step(this.order.batch(step), {
      step,
      dropout: model.dropout,
      seed: training.seed,
      gradClip: training.gradClip,
      adamw: { ...training, lr },
    });
    const stepMs = performance.now() - started;
    const { progress } = this;
    progress.step = step;
    progress.elapsedMs += stepMs;
    progress.stepTimes.push(stepMs);
    progress.tokensSeen += result.plan.tokens;
    const epoch = this.order.epoch(step);
    yield stepEvent(this.inputs.train, this.shape, progress, { ...result, epoch, lr, stepMs });

    if (Number.isFinite(result.loss) && Number.isFinite(result.gradNorm)) {
      progress.trainLoss = result.loss;
      progress.nonFiniteSteps = 0;
      return;
    }
    progress.nonFiniteSteps++;
    yield {
      type: 'notice',
      level: 'warning',
      step,
      message: `loss ${result.loss}, gradient norm ${result.gradNorm}: step ${step} left the weights as they were`,
    };
  }

  /** What is due after a step: evaluation, checkpoints. */
  private async *afterStep(): AsyncGenerator<TrainEvent, void> {
    const { evalInterval, saveInterval } = this.inputs.config.training;
    if (this.progress.step % evalInterval === 0) yield* this.evaluate();
    if (this.progress.step % saveInterval === 0 && this.progress.nonFiniteSteps === 0) await this.saveLast();
    yield* this.drain();
  }

  private async *evaluate(): AsyncGenerator<TrainEvent, void> {
    const { progress } = this;
    const { step } = progress;
    if (progress.lastEvaluation?.step === step) return;
    const started = performance.now();
    const evalLoss = await this.coordinator.evaluate();
    const evalMs = performance.now() - started;
    progress.elapsedMs += evalMs;
    progress.lastEvaluation = { step, loss: evalLoss };
    const isBest = evalLoss < (progress.bestEvalLoss ?? Number.POSITIVE_INFINITY);
    if (isBest) {
      progress.bestEvalLoss = evalLoss;
      progress.bestStep = step;
      progress.evaluationsWithoutImprovement = 0;
      await this.writer.saveBest(this.info());
    } else {
      progress.evaluationsWithoutImprovement++;
    }
    yield { type: 'evaluation', step, evalLoss, bestEvalLoss: progress.bestEvalLoss ?? evalLoss, isBest, evalMs };
    if (this.samples.length > 0) {
      const items = await answerSamples(this.samples, this.inference, this.inputs.tokenizer);
      yield { type: 'samples', step, items };
    }
  }

  /** Does what was asked for since the last step; waits here while paused. */
  private async *serveRequests(): AsyncGenerator<TrainEvent, void> {
    do {
      if (this.questions.length === 0) await this.control.untilAsked();
      for (const question of this.questions.splice(0)) {
        await answer(this.inference, this.inputs.tokenizer, question.prompt).then(question.resolve, question.reject);
      }
      const workers = this.control.takeWorkers();
      if (workers !== null && workers !== this.coordinator.workers) {
        await this.coordinator.resize(workers);
        yield this.notice(`${workers} workers from step ${this.progress.step + 1} on`);
      }
      if (this.control.take('evaluateRequested')) yield* this.evaluate();
      if (this.control.take('saveRequested')) await this.saveLast();
      yield* this.drain();
    } while (this.control.isPaused && !this.control.stopRequested);
  }

  private async *finish(reason: EndEvent['reason']): AsyncGenerator<TrainEvent, void> {
    if (reason === 'done') yield* this.evaluate();
    // What diverged isn't worth keeping: the last checkpoint before it stays.
    if (reason !== 'diverged') await this.saveLast();
    const model = await this.modelToQuantize(reason);
    if (model) await this.writer.saveQuantized(model.info, model.weights);
    await this.writer.finish();
    yield* this.drain();
    yield endEvent(this.progress, reason);
  }

  /** The weights of the best evaluation, of this process or of the one it resumed; before any, the present ones. */
  private async modelToQuantize(
    reason: EndEvent['reason'],
  ): Promise<{ weights: NamedWeights; info: CheckpointInfo } | null> {
    const { bestStep, bestEvalLoss, step } = this.progress;
    const weights = this.writer.bestWeights;
    if (weights) return { weights, info: { ...this.info(), step: bestStep!, evalLoss: bestEvalLoss } };
    if (bestStep !== null) {
      const { tensors, info } = await loadCheckpoint(join(this.inputs.config.training.saveDir, 'best'));
      return { weights: tensors, info };
    }
    if (step === 0 || reason === 'diverged') return null;
    return { weights: collectWeights(this.coordinator.arena.weights, this.table), info: this.info() };
  }

  private async saveLast(): Promise<void> {
    if (this.savedStep === this.progress.step) return;
    this.savedStep = this.progress.step;
    await this.writer.saveLast(this.info(), trainingState(this.inputs, this.progress));
  }

  private *drain(): Generator<TrainEvent, void> {
    this.writer.throwIfFailed();
    yield* this.aside.splice(0);
  }

  private isOutOfPatience(): boolean {
    const { earlyStoppingPatience } = this.inputs.config.training;
    return earlyStoppingPatience > 0 && this.progress.evaluationsWithoutImprovement >= earlyStoppingPatience;
  }

  private info(): CheckpointInfo {
    return checkpointInfo(this.progress, this.shape.vocabSize, this.inputs.configRecord);
  }

  private notice(message: string): TrainEvent {
    return { type: 'notice', level: 'info', step: this.progress.step, message };
  }
}
