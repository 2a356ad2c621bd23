// The lines of metrics.jsonl -> events again: what `plot` and `watch` see of a run. Checks what it reads, since files get
// edited, cut off and written by other versions.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import * as v from 'valibot';
import { DataError } from '../errors.js';
import type { EndEvent, SamplesEvent, StartEvent, StepEvent, TrainEvent } from './events.js';
import { METRICS_FILE, METRICS_FORMAT } from './metrics-lines.js';

const FINITE = v.pipe(v.number(), v.finite());
const NUMBER = v.pipe(v.union([FINITE, v.picklist(['NaN', 'Infinity', '-Infinity'])]), v.transform(Number));
const COUNT = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const NOT_NEGATIVE = v.pipe(FINITE, v.minValue(0));
const MS = v.optional(NOT_NEGATIVE, 0);

const RUN = v.object({
  format: v.literal(METRICS_FORMAT, `a newer gpt-loom wrote it; this one reads format ${METRICS_FORMAT}`),
  shape: v.object({ n_layer: COUNT, n_head: COUNT, n_embd: COUNT, seq_len: COUNT, vocab_size: COUNT }),
  parameter_count: COUNT,
  engine: v.object({ name: v.string(), detail: v.string(), precision: v.picklist(['fp32', 'bf16']) }),
  workers: COUNT,
  save_dir: v.string(),
  batch_size: COUNT,
  micro_batches: COUNT,
  max_steps: COUNT,
  warmup_steps: COUNT,
  peak_lr: v.optional(v.nullable(FINITE), null),
  min_lr: v.optional(v.nullable(FINITE), null),
  eval_interval: COUNT,
  steps_per_epoch: FINITE,
  start_step: COUNT,
  train_samples: COUNT,
  train_distinct: COUNT,
  truncated: COUNT,
  val_samples: COUNT,
  sample_prompts: v.optional(v.nullable(COUNT), null),
  best_eval_loss: v.nullable(FINITE),
  peak_gflops: v.nullable(FINITE),
});

const WORKER = v.object({
  rank: COUNT,
  tokens: NOT_NEGATIVE,
  micro_batches: NOT_NEGATIVE,
  busy: FINITE,
  wait: FINITE,
});

/** The figures beyond the first six may be missing. */
const STEP = v.object({
  step: COUNT,
  loss: NUMBER,
  lr: FINITE,
  grad_norm: NUMBER,
  tokens: COUNT,
  step_ms: NOT_NEGATIVE,
  epoch: v.optional(FINITE, 0),
  computed_tokens: v.optional(COUNT),
  flops: v.optional(FINITE, 0),
  forward_ms: MS,
  backward_ms: MS,
  reduce_ms: MS,
  update_ms: MS,
  wait_ms: MS,
  workers: v.optional(v.array(WORKER), []),
});

const END = v.object({
  reason: v.picklist(['done', 'stopped', 'early-stopping', 'diverged']),
  train_loss: v.nullable(NUMBER),
  best_eval_loss: v.nullable(NUMBER),
  last_eval_loss: v.nullable(NUMBER),
  elapsed_ms: FINITE,
  median_step_ms: v.nullable(FINITE),
  tokens_per_sec: v.nullable(FINITE),
});

const RECORD = v.record(v.string(), v.unknown(), 'Invalid input: expected record');
const STEP_OF = v.object({ step: COUNT });
const EVALUATION = v.object({ step: COUNT, eval_loss: NUMBER, eval_ms: MS });
const SAMPLES = v.array(
  v.object({ prompt: v.string(), answer: v.string(), expected: v.string(), step: v.optional(COUNT) }),
);
const CHECKPOINT = v.object({ kind: v.picklist(['last', 'best', 'quantized']), path: v.string(), write_ms: FINITE });
const NOTICE = v.object({ level: v.picklist(['info', 'warning']), message: v.string() });

export type RunRecord = v.InferInput<typeof RUN>;
export type StepRecord = v.InferInput<typeof STEP>;
export type EndRecord = v.InferInput<typeof END>;
export type NotFinite = Extract<v.InferInput<typeof NUMBER>, string>;

/** Reads lines in the order of the file. `source` names it in errors. */
export class MetricsReader {
  private lines = 0;
  /** What the lines leave out because the ones before tell it. */
  private elapsedMs = 0;
  private best: number | null = null;

  constructor(private readonly source: string) {}

  /** The event of a line, or null for one that is empty or of a kind not known here. Throws DataError that names the line. */
  read(line: string): TrainEvent | null {
    this.lines++;
    if (line.trim() === '') return null;
    try {
      return this.toEvent(parse(RECORD, JSON.parse(line)));
    } catch (cause) {
      throw new DataError(
        `${this.source} line ${this.lines} is not a record of a run: ${reasonOf(cause)}.\n${ADVICE}`,
        { cause },
      );
    }
  }

  private toEvent(record: Record<string, unknown>): TrainEvent | null {
    if ('run' in record) return this.startFrom(parse(RUN, record.run));
    if ('loss' in record) return this.stepFrom(parse(STEP, record));
    if ('eval_loss' in record) return this.evaluationFrom(parse(EVALUATION, record));
    const stepOf = () => parse(STEP_OF, record).step;
    if ('samples' in record) return samplesFrom(stepOf(), parse(SAMPLES, record.samples));
    if ('checkpoint' in record) {
      const { kind, path, write_ms: writeMs } = parse(CHECKPOINT, record.checkpoint);
      return { type: 'checkpoint', kind, step: stepOf(), path, writeMs };
    }
    if ('notice' in record) return { type: 'notice', step: stepOf(), ...parse(NOTICE, record.notice) };
    return 'end' in record ? endFrom(stepOf(), parse(END, record.end)) : null;
  }

  private startFrom(run: v.InferOutput<typeof RUN>): StartEvent {
    this.elapsedMs = 0;
    this.best = run.best_eval_loss;
    return startFrom(run);
  }

  private stepFrom(record: v.InferOutput<typeof STEP>): StepEvent {
    this.elapsedMs += record.step_ms;
    return stepFrom(record, this.elapsedMs);
  }

  /** As the trainer does it: the best so far is the smallest so far. */
  private evaluationFrom(record: v.InferOutput<typeof EVALUATION>): TrainEvent {
    const { step, eval_loss: evalLoss, eval_ms: evalMs } = record;
    this.elapsedMs += evalMs;
    const isBest = evalLoss < (this.best ?? Number.POSITIVE_INFINITY);
    if (isBest) this.best = evalLoss;
    return { type: 'evaluation', step, evalLoss, bestEvalLoss: this.best ?? evalLoss, isBest, evalMs };
  }
}

/** The events in the metrics file of a save folder, or in a file given by its own name. Throws DataError. */
export function loadMetrics(path: string): TrainEvent[] {
  const file = locateMetrics(path);
  return parseMetrics(readFileSync(file, 'utf8'), file);
}

/** The metrics file that a folder or a file name means. Throws DataError if it isn't there. */
export function locateMetrics(path: string): string {
  const kind = statSync(path, { throwIfNoEntry: false });
  if (kind?.isFile()) return path;
  const file = join(path, METRICS_FILE);
  if (existsSync(file)) return file;
  const parent = dirname(normalize(path));
  const what = kind === undefined ? `There is no folder ${path}` : `${path} has no ${METRICS_FILE} in it`;
  const advice = existsSync(join(parent, METRICS_FILE))
    ? `The folder above has one: use ${parent}.`
    : 'Train first (gpt-loom train), or name the save folder of a run.';
  throw new DataError(
    `${what}.\n  Expected a folder that a training saved to: ${METRICS_FILE} is its record. ${advice}`,
  );
}

/** All events of a file's text. A last line that was cut off, by a crash or because it is being written, is left out. */
export function parseMetrics(text: string, source: string): TrainEvent[] {
  const reader = new MetricsReader(source);
  const lines = text.split('\n');
  const last = lines.pop() ?? '';
  const events = lines.map((line) => reader.read(line));
  if (isWhole(last)) events.push(reader.read(last));
  return events.filter((event) => event !== null);
}

const ADVICE =
  '  Expected metrics.jsonl as `gpt-loom train` writes it: one JSON object a line, e.g. {"step":1,"loss":6.7,...}.';

function isWhole(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof v.ValiError)) return error instanceof Error ? error.message : String(error);
  const [issue] = error.issues;
  const path = v.getDotPath(issue);
  return path === null ? issue.message : `${path}: ${issue.message}`;
}

/** The checked value, or a ValiError whose first issue says what is wrong. */
function parse<T>(schema: v.GenericSchema<unknown, T>, value: unknown): T {
  return v.parse(schema, value, { abortEarly: true, message: describeIssue });
}

function describeIssue({ expected, received }: v.BaseIssue<unknown>): string {
  return received === 'undefined' ? 'it is missing' : `Invalid input: expected ${expected}, received ${received}`;
}

function startFrom(run: v.InferOutput<typeof RUN>): StartEvent {
  const { n_layer: nLayer, n_head: nHead, n_embd: nEmbd, seq_len: seqLen, vocab_size: vocabSize } = run.shape;
  return {
    type: 'start',
    shape: { nLayer, nHead, nEmbd, seqLen, vocabSize },
    parameterCount: run.parameter_count,
    engine: run.engine,
    workers: run.workers,
    saveDir: run.save_dir,
    batchSize: run.batch_size,
    microBatches: run.micro_batches,
    maxSteps: run.max_steps,
    warmupSteps: run.warmup_steps,
    peakLr: run.peak_lr,
    minLr: run.min_lr,
    evalInterval: run.eval_interval,
    stepsPerEpoch: run.steps_per_epoch,
    startStep: run.start_step,
    trainSamples: run.train_samples,
    trainDistinct: run.train_distinct,
    truncated: run.truncated,
    valSamples: run.val_samples,
    samplePrompts: run.sample_prompts,
    bestEvalLoss: run.best_eval_loss,
    peakGflops: run.peak_gflops,
  };
}

function stepFrom(record: v.InferOutput<typeof STEP>, elapsedMs: number): StepEvent {
  const { step, epoch, loss, lr, tokens, flops, workers } = record;
  return {
    type: 'step',
    step,
    epoch,
    loss,
    lr,
    gradNorm: record.grad_norm,
    tokens,
    computedTokens: record.computed_tokens ?? tokens,
    flops,
    stepMs: record.step_ms,
    elapsedMs,
    phases: {
      forward: record.forward_ms,
      backward: record.backward_ms,
      reduce: record.reduce_ms,
      update: record.update_ms,
      wait: record.wait_ms,
    },
    workers: workers.map(({ micro_batches: microBatches, ...worker }) => ({ ...worker, microBatches })),
  };
}

/** Older versions asked all questions each time, and wrote no step for each. */
function samplesFrom(step: number, items: v.InferOutput<typeof SAMPLES>): SamplesEvent {
  return { type: 'samples', step, items: items.map((item) => ({ ...item, step: item.step ?? step })) };
}

function endFrom(step: number, end: v.InferOutput<typeof END>): EndEvent {
  return {
    type: 'end',
    reason: end.reason,
    step,
    trainLoss: end.train_loss,
    bestEvalLoss: end.best_eval_loss,
    lastEvalLoss: end.last_eval_loss,
    elapsedMs: end.elapsed_ms,
    medianStepMs: end.median_step_ms,
    tokensPerSec: end.tokens_per_sec,
  };
}
