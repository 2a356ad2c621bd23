// The numbers that `infer` takes: how their flags are spelled, what they mean, what they may be.
// Light on purpose: `--help` loads this file.

import { DEFAULT_GENERATE_OPTIONS, MAX_SEED } from '../../sampling/options.js';
import type { NumberRule } from './number.js';

const { maxNewTokens, temperature, topK, topP, repetitionPenalty, repetitionWindow, minTokens } =
  DEFAULT_GENERATE_OPTIONS;

/**
 * Earlier turns of a conversation that a question is read with. The data teaches few dialogues: an unrelated turn in front of a
 * question turned three quarters of the right answers of the test split wrong.
 */
export const DEFAULT_HISTORY = 0;

export const NUMBER_RULES = {
  maxNewTokens: {
    flag: '--max-new-tokens',
    help: `longest answer, in tokens (default: ${maxNewTokens})`,
    isInteger: true,
    min: 1,
    advice: 'The answer may be shorter: the model ends it, or its sequence is full.',
    example: '64',
  },
  temperature: {
    flag: '--temperature',
    help: `0 = always the likeliest token; higher = more varied (default: ${temperature})`,
    min: 0,
    advice: '0 always takes the likeliest token, 1 follows the probabilities of the model.',
    example: '0.8',
  },
  topK: {
    flag: '--top-k',
    help: `draw from the k likeliest tokens; 0 = from all (default: ${topK})`,
    isInteger: true,
    min: 0,
    advice: '0 draws from all tokens. Without effect at temperature 0.',
    example: '40',
  },
  topP: {
    flag: '--top-p',
    help: `draw from the likeliest tokens that together have probability p (default: ${topP})`,
    above: 0,
    max: 1,
    advice: '1 draws from all tokens. Without effect at temperature 0.',
    example: '0.9',
  },
  repetitionPenalty: {
    flag: '--repetition-penalty',
    help: `above 1 = avoid tokens that just occurred (default: ${repetitionPenalty})`,
    above: 0,
    advice: '1 changes nothing, more than 1 avoids repetition, less than 1 invites it.',
    example: '1.1',
  },
  repetitionWindow: {
    flag: '--repetition-window',
    help: `how many tokens back the penalty looks (default: ${repetitionWindow})`,
    isInteger: true,
    min: 0,
    advice: 'The repetition penalty looks at so many of the last tokens of the answer.',
    example: '16',
  },
  minTokens: {
    flag: '--min-tokens',
    help: `tokens before the model may end its answer (default: ${minTokens})`,
    isInteger: true,
    min: 0,
    advice: '0 allows an empty answer.',
    example: '1',
  },
  seed: {
    flag: '--seed',
    help: 'same prompt and seed, same answer (default: a new one for every answer)',
    isInteger: true,
    min: 0,
    max: MAX_SEED,
    advice: 'Without effect at temperature 0.',
    example: '42',
  },
  minConfidence: {
    flag: '--min-confidence',
    help: 'say 不知道。 instead of an answer whose mean probability is below this; 0 = never (default: 0)',
    min: 0,
    max: 1,
    advice: 'gpt-loom eval --choose-confidence finds a value on the validation data.',
    example: '0.9',
  },
  history: {
    flag: '--history',
    help: `in a conversation: earlier turns that a question is read with (default: ${DEFAULT_HISTORY})`,
    isInteger: true,
    min: 0,
    advice: '0 answers every question by itself.',
    example: '1',
  },
} satisfies Record<string, NumberRule & { readonly help: string }>;
