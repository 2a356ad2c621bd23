// What is said about answers besides their text: speed, how they ended, the JSON form.

import type { GenerateEndEvent } from '../../sampling/generate.js';

/** One object of `infer --json`. Times in ms; a rate is null where nothing was computed; seed is null where none was used. */
export function answerToJson(prompt: string, end: GenerateEndEvent, seed: number | null, checkpoint: string): object {
  const { text, reason, tokens, promptTokens, prefillMs, decodeMs, decodedTokens } = end;
  return {
    prompt,
    answer: text,
    reason,
    tokens,
    prompt_tokens: promptTokens,
    seed,
    checkpoint,
    timing: {
      prefill_ms: round(prefillMs),
      decode_ms: round(decodeMs),
      prefill_tokens_per_sec: tokensPerSec(promptTokens, prefillMs),
      decode_tokens_per_sec: tokensPerSec(decodedTokens, decodeMs),
    },
  };
}

/** E.g. `prompt 19 tokens at 6,129 tokens/s, answer 24 tokens at 1,690 tokens/s (checkpoints/last)`. */
export function speedLine(answers: readonly GenerateEndEvent[], checkpoint: string): string {
  const total = (key: 'promptTokens' | 'prefillMs' | 'tokens' | 'decodeMs' | 'decodedTokens') =>
    answers.reduce((sum, end) => sum + end[key], 0);
  const prefillRate = tokensPerSec(total('promptTokens'), total('prefillMs'));
  const decodeRate = tokensPerSec(total('decodedTokens'), total('decodeMs'));
  const count = answers.length === 1 ? '' : `${answers.length} answers: `;
  const prompt = describe(total('promptTokens'), prefillRate);
  return `${count}prompt ${prompt}, answer ${describe(total('tokens'), decodeRate)} (${checkpoint})`;
}

/** Why an answer may be incomplete, or null. */
export function cutOffRemark({ reason, tokens }: GenerateEndEvent, maxNewTokens: number): string | null {
  if (reason === 'length') return `The answer was cut off after ${maxNewTokens} tokens (--max-new-tokens).`;
  if (reason === 'context') return `The answer was cut off after ${tokens} tokens: the model's sequence is full.`;
  return null;
}

function describe(tokens: number, rate: number | null): string {
  const count = `${grouped(tokens)} token${tokens === 1 ? '' : 's'}`;
  return rate === null ? count : `${count} at ${grouped(Math.round(rate))} tokens/s`;
}

/** `12,345`. The locale data behind toLocaleString takes longer to load than many an answer takes to compute. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

function tokensPerSec(tokens: number, ms: number): number | null {
  return tokens === 0 || ms === 0 ? null : round((tokens / ms) * 1000);
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
