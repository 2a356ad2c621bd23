// The training run: an async generator of events. Prints nothing; whoever iterates decides what is shown and recorded.
// The run advances only while somebody takes its events.

import { collectWeights } from '../checkpoint/fit.js';
import type { CheckpointInfo } from '../checkpoint/info.js';
import { loadCheckpoint } from '../checkpoint/load.js';
import type { TrainingState } from '../checkpoint/training-state.js';
import type { Config } from '../config/config.js';
import type { Corpus } from '../data/corpus.js';
import type { Row } from '../data/jsonl.js';
import { createDataOrder, type DataOrder } from '../data/order.js';
import type { InferenceEngine } from '../engine/engine.js';
import { createLiveInference, describeEngine, type EngineSelection } from '../engine/select.js';
import { trainingFlops } from '../model/flops.js';
import { createParameterTable, type ParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import { learningRate } from '../optim/schedule.js';
import { Coordinator, type StepResult } from '../parallel/coordinator.js';
import type { WorkerReport } from '../parallel/tasks.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { CheckpointWriter } from './checkpoint-writer.js';
import { RunControl } from './control.js';
import type { EndEvent, EvaluationEvent, StartEvent, StepEvent, TrainEvent } from './events.js';
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

  private step = 0;
  private bestEvalLoss: number | null = null;
  private bestStep: number | null = null;
  private evaluationsWithoutImprovement = 0;
  private lastEvaluation: { step: number; loss: number } | null = null;
  private trainLoss: number | null = null;
  private nonFiniteSteps = 0;
  private savedStep = -1;
  private elapsedMs = 0;
  private stepTimes: number[] = [];
  private tokensSeen = 0;

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
      yield this.startEvent();
      let reason: EndEvent['reason'] = 'done';
      while (this.step < maxSteps) {
        yield* this.serveRequests();
        if (this.control.stopRequested) reason = 'stopped';
        else if (this.nonFiniteSteps >= NON_FINITE_LIMIT) reason = 'diverged';
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
    const { config, resume, train, validation, tokenizer } = this.inputs;
    const fingerprints = {
      data: `${train.fingerprint}-${validation.fingerprint}`,
      tokenizer: tokenizer.fingerprint,
    };
    const state = await loadStart(config, resume, fingerprints, this.table, this.coordinator.arena);
    if (state) {
      this.step = state.step;
      this.savedStep = state.step;
      this.bestEvalLoss = state.bestEvalLoss;
      this.bestStep = state.bestStep;
      this.evaluationsWithoutImprovement = state.evaluationsWithoutImprovement;
    }
    await this.coordinator.refresh();
  }

  /** One optimizer step over the next batch. */
  private async *trainStep(): AsyncGenerator<TrainEvent, void> {
    const { model, training } = this.inputs.config;
    const step = this.step + 1;
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
    this.step = step;
    this.elapsedMs += stepMs;
    this.stepTimes.push(stepMs);
    this.tokensSeen += result.plan.tokens;
    yield this.stepEvent(result, lr, stepMs);

    if (Number.isFinite(result.loss) && Number.isFinite(result.gradNorm)) {
      this.trainLoss = result.loss;
      this.nonFiniteSteps = 0;
      return;
    }
    this.nonFiniteSteps++;
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
    if (this.step % evalInterval === 0) yield* this.evaluate();
    if (this.step % saveInterval === 0) await this.saveLast();
    yield* this.drain();
  }

  private async *evaluate(): AsyncGenerator<TrainEvent, void> {
    if (this.lastEvaluation?.step === this.step) return;
    const started = performance.now();
    const evalLoss = await this.coordinator.evaluate();
    const evalMs = performance.now() - started;
    this.elapsedMs += evalMs;
    this.lastEvaluation = { step: this.step, loss: evalLoss };
    const isBest = evalLoss < (this.bestEvalLoss ?? Number.POSITIVE_INFINITY);
    if (isBest) {
      this.bestEvalLoss = evalLoss;
      this.bestStep = this.step;
      this.evaluationsWithoutImprovement = 0;
      await this.writer.saveBest(this.info());
    } else {
      this.evaluationsWithoutImprovement++;
    }
    const bestEvalLoss = this.bestEvalLoss ?? evalLoss;
    yield { type: 'evaluation', step: this.step, evalLoss, bestEvalLoss, isBest, evalMs } satisfies EvaluationEvent;
    if (this.samples.length > 0) {
      const items = await answerSamples(this.samples, this.inference, this.inputs.tokenizer);
      yield { type: 'samples', step: this.step, items };
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
        yield this.notice(`${workers} workers from step ${this.step + 1} on`);
      }
      if (this.control.take('evaluateRequested')) yield* this.evaluate();
      if (this.control.take('saveRequested')) await this.saveLast();
      yield* this.drain();
    } while (this.control.isPaused && !this.control.stopRequested);
  }

  private async *finish(reason: EndEvent['reason']): AsyncGenerator<TrainEvent, void> {
    if (reason === 'done') yield* this.evaluate();
    await this.saveLast();
    const isBestKnown = this.writer.bestWeights !== null || this.bestStep !== null;
    if (this.step > 0) {
      if (isBestKnown) {
        const { weights, info } = await this.bestModel();
        await this.writer.saveQuantized(info, weights);
      } else {
        await this.writer.saveQuantized(this.info(), collectWeights(this.coordinator.arena.weights, this.table));
      }
    }
    await this.writer.finish();
    yield* this.drain();
    yield this.endEvent(reason);
  }

  /** The weights of the best evaluation: in memory, or of an earlier session's `best` on disk. */
  private async bestModel(): Promise<{
    weights: Awaited<ReturnType<typeof loadCheckpoint>>['tensors'];
    info: CheckpointInfo;
  }> {
    const weights = this.writer.bestWeights;
    if (weights) return { weights, info: { ...this.info(), step: this.bestStep!, evalLoss: this.bestEvalLoss } };
    const { tensors, info } = await loadCheckpoint(`${this.inputs.config.training.saveDir}/best`);
    return { weights: tensors, info };
  }

  private async saveLast(): Promise<void> {
    if (this.savedStep === this.step) return;
    this.savedStep = this.step;
    await this.writer.saveLast(this.info(), this.state());
  }

  private *drain(): Generator<TrainEvent, void> {
    this.writer.throwIfFailed();
    yield* this.aside.splice(0);
  }

  private isOutOfPatience(): boolean {
    const { earlyStoppingPatience } = this.inputs.config.training;
    return earlyStoppingPatience > 0 && this.evaluationsWithoutImprovement >= earlyStoppingPatience;
  }

  private info(): CheckpointInfo {
    const evalLoss = this.lastEvaluation?.step === this.step ? this.lastEvaluation.loss : null;
    return {
      step: this.step,
      trainLoss: this.trainLoss,
      evalLoss,
      vocabSize: this.shape.vocabSize,
      config: this.inputs.configRecord,
    };
  }

  private state(): TrainingState {
    const { train, validation, tokenizer, config } = this.inputs;
    return {
      step: this.step,
      position: this.step * config.training.batchSize,
      seed: config.training.seed,
      bestEvalLoss: this.bestEvalLoss,
      bestStep: this.bestStep,
      evaluationsWithoutImprovement: this.evaluationsWithoutImprovement,
      dataFingerprint: `${train.fingerprint}-${validation.fingerprint}`,
      tokenizerFingerprint: tokenizer.fingerprint,
    };
  }

  private notice(message: string): TrainEvent {
    return { type: 'notice', level: 'info', step: this.step, message };
  }

  private startEvent(): StartEvent {
    const { config, selection, train, validation, workers } = this.inputs;
    const { batchSize, microBatch, maxSteps, warmupSteps, evalInterval, saveDir } = config.training;
    return {
      type: 'start',
      shape: this.shape,
      parameterCount: this.table.count,
      engine: { ...describeEngine(selection), precision: selection.precision },
      workers,
      saveDir,
      batchSize,
      microBatches: batchSize / microBatch,
      maxSteps,
      warmupSteps,
      evalInterval,
      stepsPerEpoch: train.count / batchSize,
      startStep: this.step,
      trainSamples: train.count,
      trainDistinct: train.distinctCount,
      truncated: train.truncated,
      valSamples: validation.count,
      bestEvalLoss: this.bestEvalLoss,
      peakGflops: null,
    };
  }

  private stepEvent({ plan, loss, gradNorm, reports }: StepResult, lr: number, stepMs: number): StepEvent {
    const { train } = this.inputs;
    const flops = plan.samples.reduce((sum, sample) => {
      const tokens = train.starts[sample + 1] - train.starts[sample];
      return sum + trainingFlops(this.shape, { tokens, scored: tokens - train.firstScoredRow[sample] });
    }, 0);
    const mean = (of: (report: WorkerReport) => number) => reports.reduce((n, r) => n + of(r), 0) / reports.length;
    return {
      type: 'step',
      step: this.step,
      epoch: this.order.epoch(this.step),
      loss,
      lr,
      gradNorm,
      tokens: plan.tokens,
      computedTokens: plan.computedTokens,
      flops,
      stepMs,
      elapsedMs: this.elapsedMs,
      phases: {
        forward: mean((r) => r.forwardMs),
        backward: mean((r) => r.backwardMs),
        reduce: mean((r) => r.reduceMs),
        update: mean((r) => r.updateMs),
        wait: mean((r) => r.waitMs),
      },
      workers: reports.map((r) => ({
        rank: r.rank,
        tokens: r.tokens,
        microBatches: r.microBatches,
        busy: (r.forwardMs + r.backwardMs + r.reduceMs + r.updateMs) / stepMs,
        wait: r.waitMs / stepMs,
      })),
    };
  }

  private endEvent(reason: EndEvent['reason']): EndEvent {
    const times = [...this.stepTimes].sort((a, b) => a - b);
    const stepTotal = times.reduce((sum, ms) => sum + ms, 0);
    return {
      type: 'end',
      reason,
      step: this.step,
      trainLoss: this.trainLoss,
      bestEvalLoss: this.bestEvalLoss,
      lastEvalLoss: this.lastEvaluation?.loss ?? null,
      elapsedMs: this.elapsedMs,
      medianStepMs: times.length > 0 ? times[times.length >> 1] : null,
      tokensPerSec: times.length > 0 ? (this.tokensSeen / stepTotal) * 1000 : null,
    };
  }
}
