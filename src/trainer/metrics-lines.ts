// Events -> the lines of metrics.jsonl: one JSON object each, in snake_case. metrics-reader.ts is the way back.

import type { EndEvent, StartEvent, StepEvent, TrainEvent } from './events.js';
import type { EndRecord, NotFinite, RunRecord, StepRecord } from './metrics-reader.js';

export const METRICS_FILE = 'metrics.jsonl';

/** Changes when an older reader would misread a file. New keys and new kinds of lines don't change it: readers skip them. */
export const METRICS_FORMAT = 1;

/** The line of an event, without its newline. All but the run line begin with their step, by which a resumed run cuts the file. */
export function metricsLine(event: TrainEvent): string {
  switch (event.type) {
    case 'start':
      return JSON.stringify({ run: runRecord(event) });
    case 'step':
      return JSON.stringify(stepRecord(event));
    case 'evaluation':
      return JSON.stringify({ step: event.step, eval_loss: finite(event.evalLoss), eval_ms: round(event.evalMs) });
    case 'samples':
      return JSON.stringify({ step: event.step, samples: event.items });
    case 'checkpoint': {
      const { step, kind, path, writeMs } = event;
      return JSON.stringify({ step, checkpoint: { kind, path, write_ms: round(writeMs) } });
    }
    case 'notice':
      return JSON.stringify({ step: event.step, notice: { level: event.level, message: event.message } });
    case 'end':
      return JSON.stringify({ step: event.step, end: endRecord(event) });
  }
}

function runRecord(event: StartEvent): RunRecord {
  const { nLayer, nHead, nEmbd, seqLen, vocabSize } = event.shape;
  return {
    format: METRICS_FORMAT,
    shape: { n_layer: nLayer, n_head: nHead, n_embd: nEmbd, seq_len: seqLen, vocab_size: vocabSize },
    parameter_count: event.parameterCount,
    engine: event.engine,
    workers: event.workers,
    save_dir: event.saveDir,
    batch_size: event.batchSize,
    micro_batches: event.microBatches,
    max_steps: event.maxSteps,
    warmup_steps: event.warmupSteps,
    peak_lr: event.peakLr,
    min_lr: event.minLr,
    eval_interval: event.evalInterval,
    steps_per_epoch: event.stepsPerEpoch,
    start_step: event.startStep,
    train_samples: event.trainSamples,
    train_distinct: event.trainDistinct,
    truncated: event.truncated,
    val_samples: event.valSamples,
    sample_prompts: event.samplePrompts,
    best_eval_loss: event.bestEvalLoss,
    peak_gflops: event.peakGflops,
  };
}

function stepRecord(event: StepEvent): StepRecord & { workers: { tokens_per_sec: number }[] } {
  const { step, epoch, loss, lr, gradNorm, tokens, computedTokens, flops, stepMs, phases, workers } = event;
  return {
    step,
    epoch,
    loss: finite(loss),
    lr,
    grad_norm: finite(gradNorm),
    tokens,
    computed_tokens: computedTokens,
    flops,
    step_ms: round(stepMs),
    forward_ms: round(phases.forward),
    backward_ms: round(phases.backward),
    reduce_ms: round(phases.reduce),
    update_ms: round(phases.update),
    wait_ms: round(phases.wait),
    workers: workers.map((w) => ({
      rank: w.rank,
      tokens: w.tokens,
      micro_batches: w.microBatches,
      tokens_per_sec: Math.round((w.tokens / stepMs) * 1000),
      busy: round(w.busy),
      wait: round(w.wait),
    })),
  };
}

function endRecord(event: EndEvent): EndRecord {
  return {
    reason: event.reason,
    train_loss: finiteOrNull(event.trainLoss),
    best_eval_loss: finiteOrNull(event.bestEvalLoss),
    last_eval_loss: finiteOrNull(event.lastEvalLoss),
    elapsed_ms: event.elapsedMs,
    median_step_ms: event.medianStepMs,
    tokens_per_sec: event.tokensPerSec,
  };
}

/** JSON has no NaN: a text tells the truth where null would hide it. */
function finite(value: number): number | NotFinite {
  return Number.isFinite(value) ? value : (String(value) as NotFinite);
}

function finiteOrNull(value: number | null): number | NotFinite | null {
  return value === null ? null : finite(value);
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
