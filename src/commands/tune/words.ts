// A recommendation in words. Pure.

import { type PrecisionComparison, timesAsFast } from '../../tune/precisions.js';
import { type Doubt, NEGLIGIBLE, type Recommendation } from '../../tune/recommend.js';
import { isSame, type Setting } from '../../tune/settings.js';
import { formatCount, formatCounted } from '../../ui/format.js';
import { wrap } from '../../ui/text.js';

export interface WordsContext {
  readonly present: Setting;
  /** Physical cores that this process may use. */
  readonly physical: number;
  readonly width: number;
  /** With the other precision; absent or null where there is none. */
  readonly comparison?: PrecisionComparison | null;
}

/** Lines of at most `width` columns: what to use, by how much it is better, and what makes that uncertain. */
export function recommendationLines(recommendation: Recommendation, context: WordsContext): string[] {
  const { setting, tokensPerSec, doubts } = recommendation;
  const head = `${doubts.length > 0 ? 'Probably best' : 'Best'}: threads: ${setting.threads}, micro_batch: ${setting.microBatch} (${formatCount(tokensPerSec)} tokens/s)`;
  const { comparison } = context;
  const reasons = [
    ...simplerReasons(recommendation),
    ...threadReasons(recommendation, context),
    ...presentReasons(recommendation, context),
  ];
  return [
    ...wrap(head, context.width),
    ...reasons.flatMap((reason) => indented(reason, context.width)),
    ...(comparison == null ? [] : wrap(precisionText(comparison), context.width)),
    ...(doubts.length > 0 ? ['This is uncertain:'] : []),
    ...doubts.flatMap((doubt) => indented(doubtText(doubt, setting), context.width)),
    ...(doubts.length > 0 ? indented(advice(doubts), context.width) : []),
  ];
}

/** Compared round by round: the table's medians may say a little more. */
function simplerReasons({ setting, fastest }: Recommendation): string[] {
  if (isSame(setting, fastest)) return [];
  const limit = `${Math.round(100 * NEGLIGIBLE)} %`;
  return [
    `threads ${fastest.threads}, micro_batch ${fastest.microBatch} is at most ${limit} faster, round by round: the simpler setting wins`,
  ];
}

function threadReasons({ setting, timesOneThread, uselessThreads }: Recommendation, context: WordsContext): string[] {
  const reasons: string[] = [];
  if (setting.threads > 1 && timesOneThread !== null) {
    reasons.push(
      `${formatCounted(setting.threads, 'thread')}: ${timesOneThread.toFixed(2)} times one thread, round by round`,
    );
  }
  if (uselessThreads.length > 0) {
    const beyondCores = uselessThreads.every((threads) => threads > context.physical);
    const why = beyondCores ? `: ${formatCounted(context.physical, 'physical core')}` : '';
    reasons.push(`${listOf(uselessThreads)} threads add nothing${why}`);
  }
  return reasons;
}

function presentReasons({ setting, timesPresent }: Recommendation, { present }: WordsContext): string[] {
  if (isSame(setting, present)) return ['this is what training uses now'];
  if (timesPresent === null) return [];
  const name = `threads ${present.threads}, micro_batch ${present.microBatch}`;
  if (Math.abs(timesPresent - 1) <= NEGLIGIBLE) return [`as fast as what training uses now (${name})`];
  return [`${timesPresent.toFixed(2)} times what training uses now (${name})`];
}

/** Speed alone: a precision changes what a model learns, so nobody but the user turns one on or off. */
function precisionText(comparison: PrecisionComparison): string {
  const { present, other } = comparison.precisions;
  const emulated = comparison.isEmulated ? ' Here bf16 is emulated: that says nothing of processors that have it.' : '';
  return `${precisionClaim(comparison, present, other)}.${emulated}`;
}

function precisionClaim(comparison: PrecisionComparison, present: string, other: string): string {
  const rounds = comparison.other.visits.length;
  const { value, error } = timesAsFast(comparison);
  const [faster, slower, times] = value >= 1 ? [other, present, value] : [present, other, 1 / value];
  // A ratio and its inverse have the same relative error.
  const margin = 2 * error * (times / value);
  const figure =
    Number.isFinite(margin) && margin >= 0.005 ? `${times.toFixed(2)} ± ${margin.toFixed(2)}` : times.toFixed(2);
  const claim = `${figure} times as fast as ${slower} with these settings`;
  if (!Number.isFinite(margin)) return `${faster} was ${claim}, in ${formatCounted(rounds, 'round')} only`;
  if (times - 1 <= NEGLIGIBLE && margin <= 2 * NEGLIGIBLE) {
    return `${other} is as fast as ${present} with these settings`;
  }
  if (times - margin <= 1) return `${faster} was ${claim}: the machine is too noisy to tell which is the faster one`;
  if (faster === present) return `${faster} is ${claim}`;
  const advice = faster === 'bf16' ? 'it stays off unless you set precision: bf16' : 'to use it, set precision: fp32';
  return `${faster} is ${claim}; ${advice}`;
}

function doubtText(doubt: Doubt, chosen: Setting): string {
  switch (doubt.kind) {
    case 'few-rounds':
      return `the budget was enough for ${formatCounted(doubt.rounds, 'round')} only`;
    case 'scatter': {
      const times = `${doubt.ratio.toFixed(2)} ± ${(2 * doubt.error).toFixed(2)} times`;
      const { threads, microBatch } = doubt.other;
      const size = `micro_batch ${microBatch}`;
      const other = threads === chosen.threads ? size : `${formatCounted(threads, 'thread')}, ${size},`;
      return `the machine is too noisy: the steps of ${other} took ${times} as long, so it may be the faster one`;
    }
    case 'others-busy':
      return `other programs kept ${doubt.processors.toFixed(1)} processors busy meanwhile`;
    case 'starved':
      return (
        `the threads had work but no processor for ${Math.round(doubt.share * 100)} % of their time: ` +
        'other programs, or a limit on processor time'
      );
  }
}

function advice(doubts: readonly Doubt[]): string {
  const isShort = doubts.every(({ kind }) => kind === 'few-rounds');
  return isShort
    ? 'Give it more time: --budget 2m.'
    : 'Close other programs and measure again, or longer: --budget 2m.';
}

function indented(text: string, width: number): string[] {
  return wrap(text, width - 2).map((line) => `  ${line}`);
}

/** `4`, `3 and 4`, `3, 4 and 6` */
function listOf(items: readonly number[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
