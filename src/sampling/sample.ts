// From the logits of one position to one token: penalties, bans, temperature, top-k, top-p, the draw.
// Numbers only: no text, no model.

import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import type { SamplingOptions } from './options.js';
import { topIds } from './top.js';

/** What may be drawn. */
export interface Distribution {
  readonly ids: Int32Array;
  /** Sum to 1 up to rounding. */
  readonly probabilities: Float64Array;
}

/**
 * Picks the next token.
 * logits: (V), read only; -Infinity = never. Greedy ties go to the lowest id. One draw from `random` unless greedy.
 * Throws RangeError when no logit is finite.
 */
export function sampleToken(logits: Float32Array, options: SamplingOptions, random: RandomGenerator): number {
  if (options.temperature === 0) return argmax(logits);
  const { ids, probabilities } = nextTokenDistribution(logits, options);
  let rest = uniformFloat64(random);
  let lastPossible = 0;
  for (let i = 0; i < ids.length; i++) {
    if (probabilities[i] === 0) continue;
    rest -= probabilities[i];
    if (rest < 0) return ids[i];
    lastPossible = i;
  }
  return ids[lastPossible]; // Rounding left the sum of the probabilities a trifle below 1.
}

/**
 * The distribution that sampleToken draws from: softmax(logits / temperature), cut to the top-k, made to sum to 1, cut to
 * the nucleus, made to sum to 1. Likeliest first when either cut is on, else by id. temperature > 0. Fresh arrays.
 * Throws RangeError when no logit is finite. Nucleus: Holtzman et al. 2020, https://arxiv.org/abs/1904.09751
 */
export function nextTokenDistribution(logits: Float32Array, options: SamplingOptions): Distribution {
  const { temperature, topK, topP } = options;
  const max = logits[argmax(logits)];
  if (topK > 0 && topK < logits.length) {
    const likeliest = softmaxOf(topIds(logits, topK), logits, max, temperature);
    return topP < 1 ? cutToNucleus(likeliest, topP) : likeliest;
  }
  const all = softmaxOf(allIds(logits.length), logits, max, temperature);
  return topP < 1 ? nucleusOfAll(all, logits, topP) : all;
}

/**
 * Makes recent tokens less likely, in place: a positive logit is divided by the penalty, a negative one multiplied.
 * Every id counts once, however often it occurs. penalty > 0; 1 changes nothing.
 * Keskar et al. 2019, https://arxiv.org/abs/1909.05858, with the rule for negative logits that later became common.
 */
export function applyRepetitionPenalty(logits: Float32Array, recentIds: readonly number[], penalty: number): void {
  if (penalty === 1) return;
  for (const id of new Set(recentIds)) logits[id] = logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty;
}

/** Forbids tokens, in place. */
export function banTokens(logits: Float32Array, ids: readonly number[]): void {
  for (const id of ids) logits[id] = Number.NEGATIVE_INFINITY;
}

function argmax(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
  if (!Number.isFinite(logits[best])) {
    throw new RangeError(
      `sampling needs at least one finite logit, the largest of ${logits.length} is ${logits[best]}`,
    );
  }
  return best;
}

function allIds(V: number): Int32Array {
  const ids = new Int32Array(V);
  for (let id = 0; id < V; id++) ids[id] = id;
  return ids;
}

/** Softmax over `ids` alone. `max`: the largest of their logits, so that no exponential overflows. */
function softmaxOf(ids: Int32Array, logits: Float32Array, max: number, temperature: number): Distribution {
  const probabilities = new Float64Array(ids.length);
  let sum = 0;
  for (let i = 0; i < ids.length; i++) {
    probabilities[i] = Math.exp((logits[ids[i]] - max) / temperature);
    sum += probabilities[i];
  }
  for (let i = 0; i < ids.length; i++) probabilities[i] /= sum;
  return { ids, probabilities };
}

/** First guess at how many tokens a nucleus holds; four times as many when that was too few. */
const NUCLEUS_GUESS = 64;

/** The nucleus of a distribution over all ids in their own order: sorts no more of them than it must. */
function nucleusOfAll({ ids, probabilities }: Distribution, logits: Float32Array, topP: number): Distribution {
  for (let k = NUCLEUS_GUESS; ; k *= 4) {
    const likeliest = topIds(logits, k);
    const chances = new Float64Array(likeliest.length);
    let mass = 0;
    for (let i = 0; i < likeliest.length; i++) {
      chances[i] = probabilities[likeliest[i]];
      mass += chances[i];
    }
    if (mass >= topP || k >= ids.length) return cutToNucleus({ ids: likeliest, probabilities: chances }, topP);
  }
}

/** Keeps the shortest beginning of a distribution (likeliest first) that reaches topP, at least one token. */
function cutToNucleus({ ids, probabilities }: Distribution, topP: number): Distribution {
  let mass = probabilities[0];
  let count = 1;
  while (count < ids.length && mass < topP) mass += probabilities[count++];
  return { ids: ids.subarray(0, count), probabilities: probabilities.subarray(0, count).map((p) => p / mass) };
}
