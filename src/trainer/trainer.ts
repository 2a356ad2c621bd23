// The training run: an async generator of events. Prints nothing; whoever iterates decides what is shown and recorded.
// The run is at most one step ahead of the events that somebody has taken.

import { join } from 'node:path';
import { isCheckpoint } from '../checkpoint/locate.js';
import { lockFolder } from '../checkpoint/run-lock.js';
import { createDataOrder, type DataOrder } from '../data/order.js';
import type { InferenceEngine } from '../engine/engine.js';
import { createLiveInference } from '../engine/select.js';
import { WorkerError } from '../errors.js';
import { createParameterTable, type ParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import { learningRate } from '../optim/schedule.js';
import { Coordinator, type StepInput, type StepResult } from '../parallel/coordinator.js';
import { RunControl } from './control.js';
import type { EndEvent, NoticeEvent, TrainEvent } from './events.js';
import type { TrainInputs } from './inputs.js';
import { createProgress, fingerprintsOf, recordStep, resumeProgress } from './progress.js';
import { Questions } from './questions.js';
import { Recovery } from './recovery.js';
import { endEvent, startEvent, stepEvent } from './report.js';
import { RunCheckpoints } from './run-checkpoints.js';
import { answer, chooseSamples, SampleQuestions } from './samples.js';
import { loadStart } from './start-state.js';

export type { TrainInputs } from './inputs.js';

export interface TrainingRun {
  readonly events: AsyncGenerator<TrainEvent, void>;
  readonly control: RunControl;
  /** A greedy answer of the present model, at the next step boundary. */
  ask(prompt: string): Promise<string>;
}

/** So many steps in a row without a finite loss and gradient end the run. */
const NON_FINITE_LIMIT = 3;

export function startTraining(inputs: TrainInputs): TrainingRun {
  const control = new RunControl();
  const questions = new Questions(() => control.wakeUp());
  return { control, events: lockedRun(inputs, control, questions), ask: (prompt) => questions.ask(prompt) };
}

/** Nothing of a run exists, not even its threads, before the folder is ours. */
async function* lockedRun(
  inputs: TrainInputs,
  control: RunControl,
  questions: Questions,
): AsyncGenerator<TrainEvent, void> {
  const lock = await lockFolder(inputs.config.training.saveDir);
  try {
    yield* new Run(inputs, control, questions).events();
  } finally {
    await lock.release();
  }
}

class Run {
  private readonly shape: ModelShape;
  private readonly table: ParameterTable;
  private readonly coordinator: Coordinator;
  private readonly checkpoints: RunCheckpoints;
  private readonly recovery: Recovery;
  private readonly order: DataOrder;
  private readonly inference: InferenceEngine;
  private readonly samples: SampleQuestions;
  /** Events that happened beside the loop, e.g. a checkpoint that has reached the disk. */
  private readonly aside: TrainEvent[] = [];

  private readonly progress = createProgress();

  constructor(
    private readonly inputs: TrainInputs,
    private readonly control: RunControl,
    private readonly questions: Questions,
  ) {
    const { config, selection, tokenizer, train, validation, workers } = inputs;
    const { nLayer, nHead, nEmbd, seqLen } = config.model;
    const { batchSize, microBatch, mergeDuplicates, seed } = config.training;
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
      team: inputs.team,
    });
    const { arena } = this.coordinator;
    this.checkpoints = new RunCheckpoints({
      inputs,
      table: this.table,
      live: arena,
      progress: this.progress,
      emit: (event) => this.aside.push(event),
      onSettled: () => control.wakeUp(), // A paused run tells of it at once.
      warn: (message) => this.aside.push(this.notice(message, 'warning')),
    });
    this.recovery = new Recovery({
      coordinator: this.coordinator,
      restore: () => this.checkpoints.restore(),
      replay: async (first, last) => {
        for await (const _ of this.steps(first, (step) => step === last));
      },
      warn: (message) => this.aside.push(this.notice(message, 'warning')),
    });
    this.order = createDataOrder({ samples: train.count, batchSize, seed, shuffle: config.data.shuffle });
    this.inference = createLiveInference(selection, {
      shape: this.shape,
      table: this.table,
      weights: arena.weights,
      packed: arena.packed,
    });
    const sampleRows = chooseSamples(inputs.validationRows, inputs.samplePrompts, tokenizer, seqLen);
    this.samples = new SampleQuestions(sampleRows, this.inference, tokenizer);
    control.activities = () => this.coordinator.activities();
  }

  async *events(): AsyncGenerator<TrainEvent, void> {
    try {
      await this.prepare();
      yield startEvent(
        { ...this.inputs, samplePrompts: this.samples.count },
        this.shape,
        this.table.count,
        this.progress,
      );
      const { notice } = this.inputs.selection;
      if (notice !== null) yield this.notice(notice, 'warning');
      yield* this.drain();
      let reason = this.reasonToEnd();
      for (; reason === null; reason = this.reasonToEnd()) {
        yield* this.serveRequests();
        if (this.reasonToEnd() !== null) continue;
        yield* this.trainSteps();
        yield* this.afterSteps();
      }
      yield* this.finish(reason);
    } catch (error) {
      throw error instanceof WorkerError ? await this.saveAfter(error) : error;
    } finally {
      this.control.activities = () => [];
      this.questions.close();
      await this.coordinator.close();
      // Whoever gets the folder next finds no save of ours under way.
      await this.checkpoints.settle();
    }
  }

  private async prepare(): Promise<void> {
    const { saveDir } = this.inputs.config.training;
    const fingerprints = fingerprintsOf(this.inputs);
    const resumed = await loadStart({ ...this.inputs, fingerprints }, this.table, this.coordinator.arena);
    if (resumed) {
      resumeProgress(this.progress, resumed.state, resumed.info);
      if (resumed.changes.length > 0) {
        const changes = resumed.changes.join(', ');
        this.aside.push(this.notice(`not the same run any more; changed since it was saved: ${changes}`, 'warning'));
      }
    } else if (await isCheckpoint(join(saveDir, 'last'))) {
      const text = `an earlier run lies in ${saveDir} and is replaced as this one saves; --resume would go on with it`;
      this.aside.push(this.notice(text));
    }
    this.checkpoints.begin();
    await this.recovery.attempt(this.progress.step, () => this.coordinator.refresh());
  }

  /** The optimizer steps from that number on, up to one that is the last. Their batches follow from the configuration. */
  private steps(first: number, isLast: (step: number) => boolean): AsyncGenerator<StepResult, void> {
    const { model, training } = this.inputs.config;
    const { order } = this;
    function* inputs(): Generator<StepInput> {
      for (let step = first; ; step++) {
        yield { samples: order.batch(step), lr: learningRate(training, step) };
        if (isLast(step)) return;
      }
    }
    const settings = { first, dropout: model.dropout, seed: training.seed, gradClip: training.gradClip };
    return this.coordinator.steps({ ...settings, adamw: training }, inputs());
  }

  /** Steps until something is due after one, or somebody asks for something. */
  private async *trainSteps(): AsyncGenerator<TrainEvent, void> {
    const { progress, control, questions } = this;
    const isLast = (step: number) => this.isAnythingDue(step) || control.isAnythingAsked || questions.areThereAny;
    const before = progress.step;
    // Workers may also fail when they have done the last step.
    const isOver = () => progress.step > before && isLast(progress.step);
    const results = this.recovery.attemptEach(
      () => progress.step,
      () => (isOver() ? [] : this.steps(progress.step + 1, isLast)),
    );
    for await (const result of results) {
      yield* this.recordStep(result);
      // The step after it is on its way; nobody needs it.
      if (this.reasonToEnd() === 'diverged') return;
      yield* this.drain();
    }
  }

  private isAnythingDue(step: number): boolean {
    const { evalInterval, saveInterval, maxSteps } = this.inputs.config.training;
    return step % evalInterval === 0 || step % saveInterval === 0 || step === maxSteps;
  }

  private *recordStep(result: StepResult): Generator<TrainEvent, void> {
    const { progress } = this;
    const step = progress.step + 1;
    progress.step = step;
    recordStep(progress, result.ms, result.plan.tokens);
    const epoch = this.order.epoch(step);
    const lr = learningRate(this.inputs.config.training, step);
    yield stepEvent(this.inputs.train, this.shape, progress, { ...result, epoch, lr });

    if (Number.isFinite(result.loss) && Number.isFinite(result.gradNorm)) {
      progress.trainLoss = result.loss;
      progress.nonFiniteSteps = 0;
      return;
    }
    progress.nonFiniteSteps++;
    const what = `loss ${result.loss}, gradient norm ${result.gradNorm}`;
    yield this.notice(`${what}: step ${step} left the weights as they were`, 'warning');
  }

  /** What is due after the last step: evaluation, checkpoints. */
  private async *afterSteps(): AsyncGenerator<TrainEvent, void> {
    const { saveInterval } = this.inputs.config.training;
    // Before the save: the checkpoint then tells of the evaluation, and a resumed run neither repeats it nor leaves it out.
    if (this.isEvaluationDue()) yield* this.evaluate();
    if (this.progress.step % saveInterval === 0 && this.progress.nonFiniteSteps === 0)
      await this.checkpoints.saveLast();
    yield* this.drain();
  }

  private isEvaluationDue(): boolean {
    const { evalInterval, maxSteps } = this.inputs.config.training;
    const { step, lastEvaluation } = this.progress;
    return step > 0 && (step % evalInterval === 0 || step === maxSteps) && lastEvaluation?.step !== step;
  }

  /** `isWanted`: asked for by somebody, who sees all answers, and doesn't want the run to end any earlier. */
  private async *evaluate(isWanted = false): AsyncGenerator<TrainEvent, void> {
    const { progress } = this;
    const { step } = progress;
    if (progress.lastEvaluation?.step === step) return;
    const started = performance.now();
    const evalLoss = await this.recovery.attempt(step, () => this.coordinator.evaluate());
    const evalMs = performance.now() - started;
    progress.elapsedMs += evalMs;
    progress.lastEvaluation = { step, loss: evalLoss };
    const isBest = evalLoss < (progress.bestEvalLoss ?? Number.POSITIVE_INFINITY);
    if (isBest) {
      progress.bestEvalLoss = evalLoss;
      progress.bestStep = step;
      progress.evaluationsWithoutImprovement = 0;
      await this.checkpoints.saveBest();
    } else if (!isWanted) {
      progress.evaluationsWithoutImprovement++;
    }
    yield { type: 'evaluation', step, evalLoss, bestEvalLoss: progress.bestEvalLoss ?? evalLoss, isBest, evalMs };
    if (this.samples.count > 0) {
      const isComplete = isWanted || step === this.inputs.config.training.maxSteps;
      yield await this.samples.ask({ step, elapsedMs: progress.elapsedMs, isComplete });
    }
  }

  /** Does what was asked for since the last step; waits here while paused. */
  private async *serveRequests(): AsyncGenerator<TrainEvent, void> {
    do {
      this.checkpoints.throwIfFailed();
      if (!this.questions.areThereAny && this.aside.length === 0) await this.control.untilAsked();
      for (const question of this.questions.take()) {
        await answer(this.inference, this.inputs.tokenizer, question.prompt).then(question.resolve, question.reject);
      }
      const workers = this.control.takeWorkers();
      if (workers !== null && workers !== this.coordinator.workers) {
        await this.coordinator.resize(workers);
        const next = (this.progress.step + 1).toLocaleString('en-US');
        yield this.notice(`${workers} ${workers === 1 ? 'worker' : 'workers'} from step ${next} on`);
      }
      if (this.control.take('evaluateRequested')) {
        if (this.progress.lastEvaluation?.step === this.progress.step) {
          yield this.notice('this step is evaluated already');
        } else {
          yield* this.evaluate(true);
        }
      }
      if (this.control.take('saveRequested') && !(await this.checkpoints.saveLast())) {
        yield this.notice('there is nothing new to save');
      }
      yield* this.drain();
    } while (this.control.isPaused && !this.control.stopRequested);
  }

  private async *finish(reason: EndEvent['reason']): AsyncGenerator<TrainEvent, void> {
    if (reason === 'done') yield* this.evaluate();
    // What diverged isn't worth keeping: the last checkpoint before it stays.
    if (reason !== 'diverged') await this.checkpoints.saveLast();
    await this.checkpoints.saveQuantized(reason);
    await this.checkpoints.finish();
    yield* this.drain();
    yield endEvent(this.progress, reason);
  }

  /** The end of a run that lost its workers for good: everything up to the last whole step is kept. */
  private async saveAfter(error: WorkerError): Promise<WorkerError> {
    const { checkpoints, recovery } = this;
    // With an evaluation still to come, a resumed run would leave it out: it starts from the checkpoint before.
    if (recovery.areWeightsWhole && !this.isEvaluationDue()) await checkpoints.saveLast();
    await checkpoints.finish();
    const kept =
      checkpoints.savedStep > 0
        ? `Everything up to step ${checkpoints.savedStep} is saved: go on with --resume.`
        : 'No step was finished, so nothing was saved.';
    return new WorkerError(`${error.message}\n  ${kept}`, { cause: error.cause });
  }

  private *drain(): Generator<TrainEvent, void> {
    this.checkpoints.throwIfFailed();
    yield* this.aside.splice(0);
  }

  private reasonToEnd(): EndEvent['reason'] | null {
    const { maxSteps, earlyStoppingPatience: patience } = this.inputs.config.training;
    const { step, nonFiniteSteps, evaluationsWithoutImprovement } = this.progress;
    if (nonFiniteSteps >= NON_FINITE_LIMIT) return 'diverged';
    if (step >= maxSteps) return 'done';
    if (this.control.stopRequested) return 'stopped';
    return patience > 0 && evaluationsWithoutImprovement >= patience ? 'early-stopping' : null;
  }

  private notice(message: string, level: NoticeEvent['level'] = 'info'): NoticeEvent {
    return { type: 'notice', level, step: this.progress.step, message };
  }
}
