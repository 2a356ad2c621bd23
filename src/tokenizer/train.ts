// Byte-pair encoding, learnt from texts: starting from single bytes, the most frequent pair of neighbours becomes a token, again
// and again. Merges equal those of the trainer in Hugging Face's Rust library.
// Sennrich et al. 2016, https://arxiv.org/abs/1508.07909

import { BYTE_TO_CHAR } from './alphabet.js';
import { createTokenizerJson, type Merge, SPECIAL_TOKENS, type TokenizerJson } from './format.js';
import { createPairHeap, type PairHeap } from './pair-heap.js';
import { collectWords, type Words } from './words.js';

export interface TrainOptions {
  /** Upper bound of the vocabulary; at least MIN_VOCAB_SIZE, below 2^26. Fewer tokens come out of a text with few pairs. */
  readonly vocabSize: number;
  /** A pair that occurs less often is not merged. */
  readonly minFrequency?: number;
}

/** The special tokens and the 256 bytes, which are always there. */
export const MIN_VOCAB_SIZE = SPECIAL_TOKENS.length + BYTE_TO_CHAR.length;

/**
 * A complete tokenizer.json. Ids: special tokens, bytes by the code point of their characters, then merges. The highest count goes
 * first, equal counts by the smaller (left id, right id). Throws RangeError when vocabSize is too small. The texts' order is without effect.
 */
export function trainBpe(texts: Iterable<string>, { vocabSize, minFrequency = 0 }: TrainOptions): TokenizerJson {
  if (vocabSize < MIN_VOCAB_SIZE) {
    throw new RangeError(
      `vocabSize ${vocabSize} is too small: ${MIN_VOCAB_SIZE} special tokens and bytes are always there.`,
    );
  }
  const alphabet = [...BYTE_TO_CHAR].sort();
  const tokens = [...SPECIAL_TOKENS, ...alphabet];
  const byteIds = BYTE_TO_CHAR.map((char) => SPECIAL_TOKENS.length + alphabet.indexOf(char));
  const state = createState(collectWords(texts, byteIds), vocabSize);
  const merges: Merge[] = [];

  while (tokens.length < vocabSize) {
    const top = state.heap.pop();
    if (top === null) break;
    const count = state.counts.get(pairKey(state, top.left, top.right)) as number;
    if (top.count !== count) {
      // Merges of its neighbours have used up some of its places since: back into the queue with today's count.
      state.heap.push({ ...top, count });
      continue;
    }
    if (count < Math.max(1, minFrequency)) break;
    merges.push([tokens[top.left], tokens[top.right]]);
    // No two pairs spell the same token. A stretch of text that ends up as one token was cut by the same merges, in the same order,
    // wherever it stands: no merge reached across its ends.
    const merged = tokens.push(tokens[top.left] + tokens[top.right]) - 1;
    mergePair(state, { left: top.left, right: top.right, merged }, top.words);
  }
  return createTokenizerJson(Object.fromEntries(tokens.map((token, id) => [token, id])), merges);
}

interface State {
  readonly words: Words;
  readonly heap: PairHeap;
  /** Pair key -> occurrences, each as often as its word occurs. After a pair's first count it can only fall. */
  readonly counts: Map<number, number>;
  /** Right ids per left id in a pair key. */
  readonly base: number;
  readonly before: Neighbours;
  readonly after: Neighbours;
}

function createState(words: Words, vocabSize: number): State {
  const state = {
    words,
    heap: createPairHeap(),
    counts: new Map<number, number>(),
    base: vocabSize,
    before: createNeighbours(),
    after: createNeighbours(),
  };
  const { pairCounts, pairWords, pairStarts } = countFirstPairs(words);
  pairCounts.forEach((count, pair) => {
    if (count === 0) return;
    const left = Math.floor(pair / MIN_VOCAB_SIZE);
    const right = pair % MIN_VOCAB_SIZE;
    state.counts.set(pairKey(state, left, right), count);
    state.heap.push({ count, left, right, words: pairWords.subarray(pairStarts[pair], pairStarts[pair + 1]) });
  });
  return state;
}

function pairKey({ base }: State, left: number, right: number): number {
  return left * base + right;
}

/** Dense tables over all pairs of bytes: how often each occurs, and (counting sort) in which words. */
function countFirstPairs({ symbols, starts, lengths, counts }: Words) {
  const pairCounts = new Float64Array(MIN_VOCAB_SIZE ** 2);
  const pairStarts = new Int32Array(pairCounts.length + 1);
  const lastWord = new Int32Array(pairCounts.length).fill(-1);
  const forEachPair = (visit: (pair: number, word: number, isFirstInWord: boolean) => void) => {
    lastWord.fill(-1);
    for (let word = 0; word < lengths.length; word++) {
      for (let i = starts[word] + 1; i < starts[word] + lengths[word]; i++) {
        const pair = symbols[i - 1] * MIN_VOCAB_SIZE + symbols[i];
        visit(pair, word, lastWord[pair] !== word);
        lastWord[pair] = word;
      }
    }
  };
  forEachPair((pair, word, isFirstInWord) => {
    pairCounts[pair] += counts[word];
    if (isFirstInWord) pairStarts[pair + 1]++;
  });
  for (let pair = 0; pair < pairCounts.length; pair++) pairStarts[pair + 1] += pairStarts[pair];
  const next = pairStarts.slice();
  const pairWords = new Int32Array(pairStarts[pairCounts.length]);
  forEachPair((pair, word, isFirstInWord) => {
    if (isFirstInWord) pairWords[next[pair]++] = word;
  });
  return { pairCounts, pairStarts, pairWords };
}

/** One merge: wherever `right` follows `left`, both become `merged`. */
interface Rewrite {
  readonly left: number;
  readonly right: number;
  readonly merged: number;
}

/** Rewrites the given words and brings counts and queue up to date. */
function mergePair(state: State, rewrite: Rewrite, inWords: ArrayLike<number>): void {
  const { left, right, merged } = rewrite;
  for (let i = 0; i < inWords.length; i++) mergeInWord(state, inWords[i], rewrite);
  const change = (l: number, r: number, by: number) => {
    const key = pairKey(state, l, r);
    state.counts.set(key, (state.counts.get(key) ?? 0) + by);
  };
  const pushIfAny = (l: number, r: number, words: readonly number[]) => {
    const count = state.counts.get(pairKey(state, l, r)) as number;
    if (count > 0) state.heap.push({ count, left: l, right: r, words });
  };
  const before = state.before.drain();
  const after = state.after.drain();
  for (const [id, { count }] of before) {
    change(id, left, -count);
    change(id, merged, count);
  }
  for (const [id, { count }] of after) {
    change(right, id, -count);
    change(merged, id, count);
  }
  for (const [id, { words }] of before) pushIfAny(id, merged, words);
  for (const [id, { words }] of after) pushIfAny(merged, id, words);
}

/** From left to right, in place; notes what stands before and after each place. */
function mergeInWord({ words, before, after }: State, word: number, { left, right, merged }: Rewrite): void {
  const { symbols, starts, lengths, counts } = words;
  const start = starts[word];
  const end = start + lengths[word];
  let write = start;
  for (let read = start; read < end; ) {
    if (symbols[read] !== left || read + 1 === end || symbols[read + 1] !== right) {
      symbols[write++] = symbols[read++];
      continue;
    }
    if (write > start) before.add(symbols[write - 1], counts[word], word);
    if (read + 2 < end) after.add(symbols[read + 2], counts[word], word);
    symbols[write++] = merged;
    read += 2;
  }
  lengths[word] = write - start;
}

/** The symbols met on one side of the pair being merged. */
interface Neighbours {
  add(id: number, count: number, word: number): void;
  /** By id: how often each was met, and in which words. Starts anew. */
  drain(): Map<number, { count: number; words: number[] }>;
}

function createNeighbours(): Neighbours {
  let met: ReturnType<Neighbours['drain']> = new Map();
  return {
    add(id, count, word) {
      const known = met.get(id);
      if (known === undefined) {
        met.set(id, { count, words: [word] });
        return;
      }
      known.count += count;
      if (known.words[known.words.length - 1] !== word) known.words.push(word);
    },
    drain() {
      const drained = met;
      met = new Map();
      return drained;
    },
  };
}
