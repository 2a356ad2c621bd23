// Text <-> token ids at run time. Encoding is Hugging Face's library; decoding goes through the bytes of each token, because
// a stream of tokens may end in the middle of a character.

import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { TextDecoder as Utf8Decoder } from 'node:util';
import { Tokenizer as Library } from '@huggingface/tokenizers';
import { DataError } from '../errors.js';
import { tokenToBytes, WORD_PATTERN } from './alphabet.js';
import { BOS, EOS, fingerprintOf, formatTokenizer, PAD, type TokenizerJson, tokensOf, UNK } from './format.js';
import { MAX_TOKENIZER_BYTES, parseTokenizerJson } from './parse.js';
import { toReadable } from './readable.js';

export interface Tokenizer {
  readonly vocabSize: number;
  readonly bosId: number;
  readonly eosId: number;
  readonly padId: number;
  readonly unkId: number;
  /** SHA-256 in hex: equal for equal tokenizers, however their files are written. */
  readonly fingerprint: string;
  /** The text of a tokenizer.json that makes this very tokenizer. */
  toJson(): string;
  /**
   * Ids of `text`; with `special` between `<bos>` and `<eos>`. A text that spells a special token ("<eos>") gets the ids of its
   * letters, never the token's. Half a surrogate pair counts as U+FFFD.
   */
  encode(text: string, options: { readonly special: boolean }): number[];
  /** Special tokens are left out; bytes that aren't UTF-8 become U+FFFD. Throws RangeError for an id outside the vocabulary. */
  decode(ids: Iterable<number>): string;
  /** One readable text a token: white space and control characters escaped, parts of characters as `\xE4`. */
  pieces(ids: Iterable<number>): string[];
  /** (bytes) what the token stands for; none for a special token. */
  bytes(id: number): Uint8Array;
  createStreamDecoder(): StreamDecoder;
}

/** The pushed texts and the flushed one, put together, are what `decode` gives for all ids. */
export interface StreamDecoder {
  /** The text that this token completes: whole characters only, '' while one is unfinished. */
  push(id: number): string;
  /** What is left of an unfinished character (as U+FFFD); the decoder then starts anew. */
  flush(): string;
}

/** Reads a tokenizer.json. Throws DataError that names the file and says what to do. */
export function loadTokenizer(path: string): Tokenizer {
  return parseTokenizer(readText(path), path);
}

/** `source` names the text in errors. Throws DataError. */
export function parseTokenizer(text: string, source: string): Tokenizer {
  return createTokenizer(parseTokenizerJson(text, source));
}

/** For a definition that is known to be right: from `trainBpe`, or parsed. */
export function createTokenizer(definition: TokenizerJson): Tokenizer {
  const encoder = createEncoder(definition);
  const { vocab } = definition.model;
  const specials = new Map(definition.added_tokens.map(({ id, content }) => [id, content]));
  const tokens = tokensOf(vocab);
  let fingerprint: string | undefined;
  const bytes = (id: number) => {
    const token = tokens[id] ?? throwUnknownId(id, tokens.length);
    return specials.has(id) ? NO_BYTES : tokenToBytes(token);
  };
  return {
    vocabSize: tokens.length,
    bosId: vocab[BOS],
    eosId: vocab[EOS],
    padId: vocab[PAD],
    unkId: vocab[UNK],
    get fingerprint() {
      fingerprint ??= fingerprintOf(definition);
      return fingerprint;
    },
    toJson: () => formatTokenizer(definition),
    encode: (text, { special }) => encoder.encode(text, { add_special_tokens: special }).ids,
    decode: (ids) => createUtf8Decoder().decode(Buffer.concat(Array.from(ids, bytes))),
    pieces: (ids) => Array.from(ids, (id) => specials.get(id) ?? toReadable(bytes(id))),
    bytes,
    createStreamDecoder: () => createStreamDecoder(bytes),
  };
}

const NO_BYTES = new Uint8Array(0);

function createStreamDecoder(bytes: (id: number) => Uint8Array): StreamDecoder {
  const decoder = createUtf8Decoder();
  return {
    push: (id) => decoder.decode(bytes(id), { stream: true }),
    flush: () => decoder.decode(),
  };
}

/** Keeps U+FEFF, which `TextDecoder` otherwise swallows at the start of a text. */
function createUtf8Decoder(): Utf8Decoder {
  return new TextDecoder('utf-8', { ignoreBOM: true });
}

/** What we use of the library; the types it ships don't resolve in an ES module. */
interface Encoder {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  pre_tokenizer: { pattern: RegExp };
}

function createEncoder(definition: TokenizerJson): Encoder {
  // Without its added tokens, the library finds none in a text.
  const encoder: Encoder = new Library({ ...definition, added_tokens: [] }, {});
  // The library's own pattern has JavaScript's idea of white space: training and the Rust library split otherwise.
  encoder.pre_tokenizer.pattern = WORD_PATTERN;
  return encoder;
}

function throwUnknownId(id: number, vocabSize: number): never {
  throw new RangeError(`Token id ${id} is not in the vocabulary; expected 0 to ${vocabSize - 1}.`);
}

function readText(path: string): string {
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    const info = fstatSync(file);
    if (info.isDirectory()) throw Object.assign(new Error('is a folder'), { code: 'EISDIR' });
    if (info.size > MAX_TOKENIZER_BYTES) {
      throw new DataError(
        `${path} has ${Math.round(info.size / (1 << 20))} MB; a tokenizer may have ${MAX_TOKENIZER_BYTES >> 20} MB.\n  Pass the tokenizer.json itself.`,
      );
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw error instanceof DataError ? error : readProblem(path, error);
  } finally {
    if (file !== null) closeSync(file);
  }
}

function readProblem(path: string, cause: unknown): DataError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const problem: Record<string, string> = {
    ENOENT: `There is no tokenizer ${path}.\n  Looked for ${resolve(path)}. Make it from the training data: npx gpt-loom tokenizer build`,
    EISDIR: `${path} is a folder; expected a tokenizer file.\n  Pass the file in it, e.g. ${path.replace(/\/+$/, '')}/tokenizer.json.`,
    EACCES: `No permission to read the tokenizer ${path}.\n  Make it readable: chmod u+r ${path}`,
  };
  const other = `The tokenizer ${path} cannot be read (${code ?? message}).\n  Make a new one: npx gpt-loom tokenizer build`;
  return new DataError((code !== undefined && problem[code]) || other, { cause });
}
