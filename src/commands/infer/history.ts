// Which earlier turns of a conversation a question is read with: the last ones, cut from the front to what fits.

import { encodePrompt, promptAfterTurns, type Turn } from '../../data/template.js';
import type { Tokenizer } from '../../tokenizer/tokenizer.js';

export interface HistoryLimits {
  /** Earlier turns at most. */
  readonly turns: number;
  /** Tokens of the whole prompt at most. */
  readonly tokens: number;
}

/** Room for an answer of maxNewTokens, but never more than half of the model's sequence. */
export function historyLimits(turns: number, seqLen: number, maxNewTokens: number): HistoryLimits {
  return { turns, tokens: seqLen - Math.min(maxNewTokens, Math.floor(seqLen / 2)) };
}

/** The question after as many of the last turns as the limits allow; a question too long by itself comes back alone. */
export function promptWithHistory(
  tokenizer: Tokenizer,
  turns: readonly Turn[],
  question: string,
  limits: HistoryLimits,
): string {
  for (let first = Math.max(0, turns.length - limits.turns); first < turns.length; first++) {
    const prompt = promptAfterTurns(turns.slice(first), question);
    if (encodePrompt(tokenizer, prompt).length <= limits.tokens) return prompt;
  }
  return question;
}
