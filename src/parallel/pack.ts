// Packs one micro-batch of a plan into the arrays an engine reads. Each worker packs for itself into arrays it made once.

import type { CorpusViews } from '../data/corpus.js';
import { mostCopies } from '../data/order.js';
import { type BatchCapacity, PAIR_ROWS, type PackedBatch } from '../engine/engine.js';
import type { StepPlan } from './plan.js';

export type PackPlan = Pick<StepPlan, 'starts' | 'samples' | 'keys' | 'copies'>;

export function createPacker(
  capacity: BatchCapacity,
): (corpus: CorpusViews, plan: PackPlan, k: number, microBatches: number, scale: number) => PackedBatch {
  const tokens = new Int32Array(capacity.rows);
  const seqStarts = new Int32Array(capacity.sequences + 1);
  const sampleKeys = new Int32Array(capacity.sequences);
  const scoredRows = new Int32Array(capacity.scored);
  const targets = new Int32Array(capacity.scored);
  const weights = new Float32Array(capacity.scored);

  /**
   * So many micro-batches from number k on; `scale` is the weight of a scored token that stands for itself alone.
   * The result lives until the next call.
   */
  return (corpus, plan, k, microBatches, scale) => {
    let rows = 0;
    let scored = 0;
    const first = plan.starts[k];
    const count = plan.starts[k + microBatches] - first;
    for (let s = 0; s < count; s++) {
      const sample = plan.samples[first + s];
      const begin = corpus.starts[sample];
      const end = corpus.starts[sample + 1];
      seqStarts[s] = rows;
      sampleKeys[s] = plan.keys[first + s];
      tokens.set(corpus.tokens.subarray(begin, end), rows);
      for (let i = begin + corpus.firstScoredRow[sample]; i < end; i++, scored++) {
        scoredRows[scored] = rows + i - begin;
        targets[scored] = corpus.targets[i];
        weights[scored] = plan.copies[first + s] * scale;
      }
      rows += end - begin;
    }
    seqStarts[count] = rows;
    return {
      tokens: tokens.subarray(0, rows),
      seqStarts: seqStarts.subarray(0, count + 1),
      sampleKeys: sampleKeys.subarray(0, count),
      scoredRows: scoredRows.subarray(0, scored),
      targets: targets.subarray(0, scored),
      weights: weights.subarray(0, scored),
    };
  };
}

/** Room for every micro-batch that planStep can make of any batch of this corpus, merged or not. */
export function batchCapacity(corpus: CorpusViews, batchSize: number, microBatches: number): BatchCapacity {
  const lengths = Array.from({ length: corpus.count }, (_, i) => corpus.starts[i + 1] - corpus.starts[i]);
  lengths.sort((a, b) => b - a);
  const longest = lengths[0];
  const copies = mostCopies({ samples: corpus.count, batchSize });
  let largestBatch = 0;
  for (let i = 0; i < batchSize; i++) largestBatch += lengths[Math.floor(i / copies)];
  // The lightest micro-batch, which takes the next sample, holds at most the mean; see planStep.
  const rows = Math.min(largestBatch, Math.ceil(largestBatch / microBatches) + longest);
  return { rows, scored: rows, sequences: batchSize };
}

/** Room for two micro-batches at a time, as far as pairs go. */
export function pairCapacity({ rows, scored, sequences }: BatchCapacity): BatchCapacity {
  const both = (n: number) => Math.min(2 * n, 2 * PAIR_ROWS);
  return { rows: both(rows), scored: both(scored), sequences };
}

export function largerCapacity(a: BatchCapacity, b: BatchCapacity): BatchCapacity {
  return {
    rows: Math.max(a.rows, b.rows),
    scored: Math.max(a.scored, b.scored),
    sequences: Math.max(a.sequences, b.sequences),
  };
}

/** The largest chunk of a plan that is known already. */
export function planCapacity(plan: StepPlan, corpus: CorpusViews): BatchCapacity {
  let rows = 0;
  let sequences = 0;
  for (let k = 0; k + 1 < plan.starts.length; k++) {
    const samples = plan.samples.subarray(plan.starts[k], plan.starts[k + 1]);
    rows = Math.max(
      rows,
      samples.reduce((n, s) => n + corpus.starts[s + 1] - corpus.starts[s], 0),
    );
    sequences = Math.max(sequences, samples.length);
  }
  return { rows, scored: rows, sequences };
}
