// Texts -> their distinct words as rows of symbols, the form in which pairs are counted and merged.

import { WORD_PATTERN } from './alphabet.js';

/** W distinct words, N symbols in all. */
export interface Words {
  /** (N) one word after the other; training shortens words in place. */
  readonly symbols: Int32Array;
  /** (W) first symbol of each word. */
  readonly starts: Int32Array;
  /** (W) symbols of each word. */
  readonly lengths: Int32Array;
  /** (W) how often the texts hold the word. */
  readonly counts: Float64Array;
}

/** `byteIds`: the symbol of each of the 256 bytes. */
export function collectWords(texts: Iterable<string>, byteIds: readonly number[]): Words {
  const wordCounts = countWords(texts);
  const starts = new Int32Array(wordCounts.size);
  const lengths = new Int32Array(wordCounts.size);
  let length = 0;
  let word = 0;
  for (const text of wordCounts.keys()) {
    starts[word] = length;
    lengths[word] = Buffer.byteLength(text);
    length += lengths[word++];
  }
  const symbols = new Int32Array(length);
  let at = 0;
  for (const text of wordCounts.keys()) {
    for (const byte of Buffer.from(text)) symbols[at++] = byteIds[byte];
  }
  return { symbols, starts, lengths, counts: Float64Array.from(wordCounts.values()) };
}

function countWords(texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const word of text.match(WORD_PATTERN) ?? []) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}
