// Which sample goes into which micro-batch: a pure function of the batch, so it is the same for any number of workers.

import type { CorpusViews } from '../data/corpus.js';
import { trainingFlops } from '../model/flops.js';
import type { ModelShape } from '../model/shape.js';
import { createLightest } from './lightest.js';

/** One batch of samples, split. All numbers, so that it can lie in shared memory. */
export interface StepPlan {
  /** (micro-batches + 1) first entry of each micro-batch in the arrays below. */
  readonly starts: Int32Array;
  /** Samples of the corpus, by micro-batch. */
  readonly samples: Int32Array;
  /** Place of the sample in its batch: keys its dropout mask. */
  readonly keys: Int32Array;
  /** How many identical samples of the batch this one stands for. */
  readonly copies: Int32Array;
  /** Scored tokens of the whole batch, copies counted: what the loss is divided by. */
  readonly scoredTokens: number;
  /** Tokens of the batch with copies counted, and tokens really computed. */
  readonly tokens: number;
  readonly computedTokens: number;
  /** Computed tokens of the largest micro-batch. */
  readonly longestMicroBatch: number;
}

export interface PlanOptions {
  readonly microBatches: number;
  /** Compute identical samples once, weighted: exact, since the gradient is a mean over the scored tokens of the batch. */
  readonly mergeDuplicates: boolean;
  /** Work of a sample, in any unit: orders the micro-batches for workers that take them in pairs. */
  readonly workOf?: (sample: number) => number;
}

/**
 * Splits a batch. Longest sample first, each to the micro-batch that has the fewest tokens so far (Graham 1969), ties to the
 * lower index: micro-batches of about equal size. A micro-batch that would be empty is left out. With `workOf` the one with the
 * most work then comes first, the one with the least second, and so on inwards: 0 and 1, 2 and 3 ... are about equal again.
 */
export function planStep(batch: ArrayLike<number>, corpus: CorpusViews, options: PlanOptions): StepPlan {
  const entries = options.mergeDuplicates ? mergeCopies(batch, corpus) : listAll(batch);
  const length = (sample: number) => corpus.starts[sample + 1] - corpus.starts[sample];
  const scored = (sample: number) => length(sample) - corpus.firstScoredRow[sample];
  const tokensIn = (group: readonly Entry[]) => group.reduce((n, e) => n + length(e.sample), 0);
  const byLength = [...entries].sort((a, b) => length(b.sample) - length(a.sample) || a.key - b.key);
  const groups: Entry[][] = Array.from({ length: Math.min(options.microBatches, entries.length) }, () => []);
  const lightest = createLightest(groups.length);
  for (const entry of byLength) groups[lightest.add(length(entry.sample))].push(entry);
  for (const group of groups) group.sort((a, b) => a.key - b.key);
  const ordered = options.workOf ? outsideIn(groups, options.workOf) : groups;
  const flat = ordered.flat();
  const starts = new Int32Array(ordered.length + 1);
  ordered.forEach((group, g) => {
    starts[g + 1] = starts[g] + group.length;
  });
  return {
    starts,
    samples: Int32Array.from(flat, (e) => e.sample),
    keys: Int32Array.from(flat, (e) => e.key),
    copies: Int32Array.from(flat, (e) => e.copies),
    scoredTokens: flat.reduce((n, e) => n + scored(e.sample) * e.copies, 0),
    tokens: flat.reduce((n, e) => n + length(e.sample) * e.copies, 0),
    computedTokens: tokensIn(flat),
    longestMicroBatch: groups.reduce((most, group) => Math.max(most, tokensIn(group)), 0),
  };
}

/** Most work, least work, second most, second least ...; of equals the lower index first. */
function outsideIn(groups: readonly Entry[][], workOf: (sample: number) => number): Entry[][] {
  const weighed = groups.map((group) => ({ group, work: group.reduce((sum, { sample }) => sum + workOf(sample), 0) }));
  weighed.sort((a, b) => b.work - a.work);
  return weighed.map((_, i) => weighed[i % 2 === 0 ? i / 2 : groups.length - (i + 1) / 2].group);
}

interface Entry {
  readonly sample: number;
  readonly key: number;
  copies: number;
}

function listAll(batch: ArrayLike<number>): Entry[] {
  return Array.from(batch, (sample, key) => ({ sample, key, copies: 1 }));
}

function mergeCopies(batch: ArrayLike<number>, corpus: CorpusViews): Entry[] {
  const bySample = new Map<number, Entry>();
  for (let key = 0; key < batch.length; key++) {
    const first = corpus.distinctOf[batch[key]];
    const seen = bySample.get(first);
    if (seen) seen.copies++;
    else bySample.set(first, { sample: first, key, copies: 1 });
  }
  return [...bySample.values()];
}

/** Useful FLOPs of training on a sample. */
export function sampleFlops(corpus: CorpusViews, sample: number, shape: ModelShape): number {
  const tokens = corpus.starts[sample + 1] - corpus.starts[sample];
  return trainingFlops(shape, { tokens, scored: tokens - corpus.firstScoredRow[sample] });
}

/** The evaluation's split: every distinct sample of the corpus once, weighted, in chunks of about `chunkTokens` tokens. */
export function planEvaluation(corpus: CorpusViews, chunkTokens: number): StepPlan {
  const all = Array.from({ length: corpus.count }, (_, sample) => sample);
  const distinct = all.filter((sample) => corpus.distinctOf[sample] === sample);
  const tokens = distinct.reduce((n, sample) => n + corpus.starts[sample + 1] - corpus.starts[sample], 0);
  const microBatches = Math.max(1, Math.ceil(tokens / chunkTokens));
  return planStep(all, corpus, { microBatches, mergeDuplicates: true });
}
