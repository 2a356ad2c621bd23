// Prompt -> answer, token by token, with a KV cache: the prompt runs through the model once, then each new token alone.
// Yields what happens; prints nothing.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { encodePrompt } from '../data/template.js';
import type { InferenceEngine } from '../engine/engine.js';
import { DataError, NonFiniteError } from '../errors.js';
import { createRandom } from '../random.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { createAnswerText } from './answer-text.js';
import type { GenerateOptions } from './options.js';
import { applyRepetitionPenalty, banTokens, sampleToken } from './sample.js';

/** `eos`: the model ended its answer. `length`: maxNewTokens. `context`: the sequence is full. `stop`: a stop string. */
export type EndReason = 'eos' | 'length' | 'context' | 'stop';

/** A token of the answer. `probability`: what the model gave it by itself, before bans, penalty, temperature and cuts. */
export interface TokenEvent {
  readonly type: 'token';
  readonly id: number;
  readonly probability: number;
}

/** More of the answer, never empty, never half a character; all of them together are the answer. */
export interface TextEvent {
  readonly type: 'text';
  readonly text: string;
}

export interface GenerateEndEvent {
  readonly type: 'end';
  readonly text: string;
  readonly reason: EndReason;
  /** Tokens of the answer, `<eos>` excluded. */
  readonly tokens: number;
  /** Tokens of the prompt with its frame and special tokens. */
  readonly promptTokens: number;
  /** Time for the prompt, up to the first logits. */
  readonly prefillMs: number;
  /** Time for everything after that, and how many tokens went through the model in it. What the reader does in between isn't counted. */
  readonly decodeMs: number;
  readonly decodedTokens: number;
}

export type GenerateEvent = TokenEvent | TextEvent | GenerateEndEvent;

/**
 * Answers one prompt; the same prompt, options and weights give the same answer. Lets the event loop turn once a token.
 * Throws DataError for a prompt that fills the model's sequence, NonFiniteError when the model's logits are NaN or infinite.
 */
export async function* generate(
  engine: InferenceEngine,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateOptions,
): AsyncGenerator<GenerateEvent, void> {
  const { seqLen } = engine.shape;
  const prefix = encodePrompt(tokenizer, prompt);
  throwIfTooLong(prompt, prefix.length, seqLen);
  const session = engine.createSession();
  const chooser = createChooser(engine.shape.vocabSize, tokenizer, options);
  const decoder = tokenizer.createStreamDecoder();
  const answer = createAnswerText(options.stopStrings);
  const ids: number[] = [];
  let text = '';

  const prefillStart = performance.now();
  let logits = session.append(Int32Array.from(prefix));
  const prefillMs = performance.now() - prefillStart;

  let decodeMs = 0;
  let reason: EndReason | null = null;
  while (reason === null) {
    const decodeStart = performance.now();
    if (ids.length > 0) logits = session.append(Int32Array.of(ids[ids.length - 1]));
    if (!Number.isFinite(session.logSumExp)) throw notFinite(ids.length);
    const id = chooser.choose(logits, ids);
    const probability = Math.exp(logits[id] - session.logSumExp);
    decodeMs += performance.now() - decodeStart;

    if (id === tokenizer.eosId) {
      reason = 'eos';
    } else {
      ids.push(id);
      yield { type: 'token', id, probability };
      const piece = answer.push(decoder.push(id));
      text += piece;
      if (piece !== '') yield { type: 'text', text: piece };
      reason = reasonToEnd(answer.isStopped, ids.length >= options.maxNewTokens, session.length >= seqLen);
      await nextTurn();
    }
  }

  const rest = answer.push(decoder.flush()) + answer.flush();
  text += rest;
  if (rest !== '') yield { type: 'text', text: rest };
  const promptTokens = prefix.length;
  const decodedTokens = session.length - promptTokens;
  yield { type: 'end', text, reason, tokens: ids.length, promptTokens, prefillMs, decodeMs, decodedTokens };
}

/** Why no further token may follow, or null. A full sequence has given its last logits already. */
function reasonToEnd(isStopped: boolean, isLongEnough: boolean, isFull: boolean): EndReason | null {
  if (isStopped) return 'stop';
  if (isLongEnough) return 'length';
  return isFull ? 'context' : null;
}

interface Chooser {
  /** logits: (V), read only. ids: the answer so far. */
  choose(logits: Float32Array, ids: readonly number[]): number;
}

/** Logits -> token, by the options: penalty, bans, then the draw. Keeps the random state of one answer. */
function createChooser(V: number, tokenizer: Tokenizer, options: GenerateOptions): Chooser {
  const random = createRandom(options.seed);
  const adjusted = new Float32Array(V);
  const neverProduced = [tokenizer.bosId, tokenizer.padId, tokenizer.unkId];
  return {
    choose(logits, ids) {
      adjusted.set(logits);
      const recent = options.repetitionWindow > 0 ? ids.slice(-options.repetitionWindow) : [];
      applyRepetitionPenalty(adjusted, recent, options.repetitionPenalty);
      banTokens(adjusted, neverProduced);
      if (ids.length < options.minTokens) banTokens(adjusted, [tokenizer.eosId]);
      return sampleToken(adjusted, options, random);
    },
  };
}

function throwIfTooLong(prompt: string, promptTokens: number, seqLen: number): void {
  if (promptTokens < seqLen) return;
  const start = [...prompt].slice(0, 20).join('');
  throw new DataError(
    `The prompt "${start}${start === prompt ? '' : '…'}" is too long: ${promptTokens} tokens with its frame.\n` +
      `  This model sees ${seqLen} tokens at once, prompt and answer together, so a prompt may have ${seqLen - 1} at most.\n` +
      '  Shorten the prompt, or train a model with a larger model.seq_len in config.yaml.',
  );
}

function notFinite(answered: number): NonFiniteError {
  return new NonFiniteError(
    `The model's logits are not finite after ${answered} tokens of the answer.\n` +
      '  Every weight of a usable checkpoint is a finite number; this one has probably diverged in training.\n' +
      '  Use another checkpoint, or train again with a smaller training.lr.',
  );
}
