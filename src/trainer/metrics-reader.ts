// The lines of metrics.jsonl -> events again: what `plot` and `watch` see of a run. Checks what it reads, since files get
// edited, cut off and written by other versions.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { z } from 'zod';
import { DataError } from '../errors.js';
import type { EndEvent, SamplesEvent, StartEvent, StepEvent, TrainEvent } from './events.js';
import { METRICS_FILE, METRICS_FORMAT } from './metrics-lines.js';

const NUMBER = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity'])]).transform(Number);
const COUNT = z.int().min(0);
const MS = z.number().min(0).default(0);

const RUN = z.object({
  format: z.literal(METRICS_FORMAT, { error: `a newer gpt-loom wrote it; this one reads format ${METRICS_FORMAT}` }),
  shape: z.object({ n_layer: COUNT, n_head: COUNT, n_embd: COUNT, seq_len: COUNT, vocab_size: COUNT }),
  parameter_count: COUNT,
  engine: z.object({ name: z.string(), detail: z.string(), precision: z.enum(['fp32', 'bf16']) }),
  workers: COUNT,
  save_dir: z.string(),
  batch_size: COUNT,
  micro_batches: COUNT,
  max_steps: COUNT,
  warmup_steps: COUNT,
  peak_lr: z.number().nullable().default(null),
  min_lr: z.number().nullable().default(null),
  eval_interval: COUNT,
  steps_per_epoch: z.number(),
  start_step: COUNT,
  train_samples: COUNT,
  train_distinct: COUNT,
  truncated: COUNT,
  val_samples: COUNT,
  sample_prompts: COUNT.nullable().default(null),
  best_eval_loss: z.number().nullable(),
  peak_gflops: z.number().nullable(),
});

const WORKER = z.object({
  rank: COUNT,
  tokens: z.number().min(0),
  micro_batches: z.number().min(0),
  busy: z.number(),
  wait: z.number(),
});

/** The figures beyond the first six may be missing. */
const STEP = z.object({
  step: COUNT,
  loss: NUMBER,
  lr: z.number(),
  grad_norm: NUMBER,
  tokens: COUNT,
  step_ms: z.number().min(0),
  epoch: z.number().default(0),
  computed_tokens: COUNT.optional(),
  flops: z.number().default(0),
  forward_ms: MS,
  backward_ms: MS,
  reduce_ms: MS,
  update_ms: MS,
  wait_ms: MS,
  workers: z.array(WORKER).default([]),
});

const END = z.object({
  reason: z.enum(['done', 'stopped', 'early-stopping', 'diverged']),
  train_loss: NUMBER.nullable(),
  best_eval_loss: NUMBER.nullable(),
  last_eval_loss: NUMBER.nullable(),
  elapsed_ms: z.number(),
  median_step_ms: z.number().nullable(),
  tokens_per_sec: z.number().nullable(),
});

const STEP_OF = z.object({ step: COUNT });
const EVALUATION = z.object({ step: COUNT, eval_loss: NUMBER, eval_ms: MS });
const SAMPLES = z.array(
  z.object({ prompt: z.string(), answer: z.string(), expected: z.string(), step: COUNT.optional() }),
);
const CHECKPOINT = z.object({ kind: z.enum(['last', 'best', 'quantized']), path: z.string(), write_ms: z.number() });
const NOTICE = z.object({ level: z.enum(['info', 'warning']), message: z.string() });

export type RunRecord = z.input<typeof RUN>;
export type StepRecord = z.input<typeof STEP>;
export type EndRecord = z.input<typeof END>;
export type NotFinite = Extract<z.input<typeof NUMBER>, string>;

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
      return this.toEvent(z.record(z.string(), z.unknown()).parse(JSON.parse(line)));
    } catch (cause) {
      throw new DataError(
        `${this.source} line ${this.lines} is not a record of a run: ${reasonOf(cause)}.\n${ADVICE}`,
        { cause },
      );
    }
  }

  private toEvent(record: Record<string, unknown>): TrainEvent | null {
    if ('run' in record) return this.startFrom(RUN.parse(record.run));
    if ('loss' in record) return this.stepFrom(STEP.parse(record));
    if ('eval_loss' in record) return this.evaluationFrom(EVALUATION.parse(record));
    const stepOf = () => STEP_OF.parse(record).step;
    if ('samples' in record) return samplesFrom(stepOf(), SAMPLES.parse(record.samples));
    if ('checkpoint' in record) {
      const { kind, path, write_ms: writeMs } = CHECKPOINT.parse(record.checkpoint);
      return { type: 'checkpoint', kind, step: stepOf(), path, writeMs };
    }
    if ('notice' in record) return { type: 'notice', step: stepOf(), ...NOTICE.parse(record.notice) };
    return 'end' in record ? endFrom(stepOf(), END.parse(record.end)) : null;
  }

  private startFrom(run: z.output<typeof RUN>): StartEvent {
    this.elapsedMs = 0;
    this.best = run.best_eval_loss;
    return startFrom(run);
  }

  private stepFrom(record: z.output<typeof STEP>): StepEvent {
    this.elapsedMs += record.step_ms;
    return stepFrom(record, this.elapsedMs);
  }

  /** As the trainer does it: the best so far is the smallest so far. */
  private evaluationFrom(record: z.output<typeof EVALUATION>): TrainEvent {
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
  if (!(error instanceof z.ZodError)) return error instanceof Error ? error.message : String(error);
  const [issue] = error.issues;
  return issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`;
}

function startFrom(run: z.output<typeof RUN>): StartEvent {
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

function stepFrom(record: z.output<typeof STEP>, elapsedMs: number): StepEvent {
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
function samplesFrom(step: number, items: z.output<typeof SAMPLES>): SamplesEvent {
  return { type: 'samples', step, items: items.map((item) => ({ ...item, step: item.step ?? step })) };
}

function endFrom(step: number, end: z.output<typeof END>): EndEvent {
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
