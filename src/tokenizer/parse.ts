// A tokenizer.json from anywhere -> one we can trust. Everything is checked before the library sees it, and nothing is
// passed on but tokens and merges: no pattern, no normaliser, no option of the file ever runs.

import { DataError } from '../errors.js';
import { BYTE_TOKEN_PATTERN } from './alphabet.js';
import { createTokenizerJson, type Merge, SPECIAL_TOKENS, type TokenizerJson, UNK, type Vocabulary } from './format.js';

/** The largest vocabularies in use, 256,000 tokens, take about 33 MB. */
export const MAX_TOKENIZER_BYTES = 64 << 20;

/** `source` names the text in errors. Throws DataError. */
export function parseTokenizerJson(text: string, source: string): TokenizerJson {
  const refuse: Refuse = (what, fix = MAKE_ONE) => {
    throw new DataError(`${source} is not a tokenizer that can be used here: ${what}\n  ${fix}`);
  };
  if (text.length > MAX_TOKENIZER_BYTES) refuse(`it is larger than ${MAX_TOKENIZER_BYTES >> 20} MB.`);
  const file = asObject(parseJson(text, refuse), 'the file', refuse);
  checkPipeline(file, refuse);
  const model = asObject(file.model, 'model', refuse);
  checkModel(model, refuse);
  const specials = readSpecials(file.added_tokens, refuse);
  const vocab = readVocabulary(model.vocab, specials, refuse);
  const merges = readMerges(model.merges, vocab, specials, refuse);
  return createTokenizerJson(vocab, merges, [...specials.keys()]);
}

const MAKE_ONE = 'Make one from the training data: npx gpt-loom tokenizer build';

type Refuse = (what: string, fix?: string) => never;
type JsonObject = Readonly<Record<string, unknown>>;

function parseJson(text: string, refuse: Refuse): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    return refuse('it is not JSON.');
  }
}

/** What happens around the model must be byte-level BPE between `<bos>` and `<eos>`, and nothing else. */
function checkPipeline(file: JsonObject, refuse: Refuse): void {
  if (file.normalizer != null) refuse('it changes the text before encoding (normalizer); expected none.');
  const { type, add_prefix_space, use_regex } = asObject(file.pre_tokenizer, 'pre_tokenizer', refuse);
  expectValue('pre_tokenizer.type', type, 'ByteLevel', refuse);
  expectValue('pre_tokenizer.add_prefix_space', add_prefix_space, false, refuse);
  expectValue('pre_tokenizer.use_regex', use_regex ?? true, true, refuse);
  expectValue('decoder.type', asObject(file.decoder, 'decoder', refuse).type, 'ByteLevel', refuse);
  const { type: processor, single } = asObject(file.post_processor, 'post_processor', refuse);
  expectValue('post_processor.type', processor, 'TemplateProcessing', refuse);
  const template = Array.isArray(single) ? single.map(templatePiece).join(' ') : describe(single);
  if (template !== '<bos> $A <eos>') refuse(`its template is ${template}; expected <bos> $A <eos>.`);
}

function templatePiece(piece: unknown): string {
  const { SpecialToken: special, Sequence: sequence } = (piece ?? {}) as Record<string, { id?: unknown } | undefined>;
  return special ? shorten(String(special.id)) : `$${shorten(String(sequence?.id))}`;
}

function checkModel(model: JsonObject, refuse: Refuse): void {
  expectValue('model.type', model.type, 'BPE', refuse);
  expectValue('model.unk_token', model.unk_token, UNK, refuse);
  for (const option of ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix']) {
    expectValue(`model.${option}`, model[option] || null, null, refuse);
  }
  for (const option of ['fuse_unk', 'byte_fallback', 'ignore_merges']) {
    expectValue(`model.${option}`, model[option] ?? false, false, refuse);
  }
}

/** Content -> id. */
function readSpecials(addedTokens: unknown, refuse: Refuse): Map<string, unknown> {
  const specials = new Map<string, unknown>();
  for (const entry of asArray(addedTokens, 'added_tokens', refuse)) {
    const { content, id, special } = asObject(entry, 'an entry of added_tokens', refuse);
    if (typeof content !== 'string' || content === '') return refuse('an entry of added_tokens has no content.');
    if (special !== true) refuse(`added token ${describe(content)} is not special; expected special tokens only.`);
    if (specials.has(content)) refuse(`added token ${describe(content)} stands there twice.`);
    specials.set(content, id);
  }
  const missing = SPECIAL_TOKENS.filter((token) => !specials.has(token));
  if (missing.length > 0) refuse(`added_tokens lacks ${missing.join(', ')}.`);
  return specials;
}

/** The specials may stand in the vocabulary, in added_tokens, or in both; the result has all of them. */
function readVocabulary(value: unknown, specials: ReadonlyMap<string, unknown>, refuse: Refuse): Vocabulary {
  const vocab = asObject(value, 'model.vocab', refuse);
  const missing: [string, unknown][] = [];
  for (const [content, id] of specials) {
    const known = Object.hasOwn(vocab, content) ? vocab[content] : undefined;
    if (known === undefined) missing.push([content, id]);
    else if (known !== id) {
      refuse(`${describe(content)} has id ${describe(id)} in added_tokens but ${describe(known)} in vocab.`);
    }
  }
  const whole = missing.length === 0 ? vocab : { ...vocab, ...Object.fromEntries(missing) };
  checkIds(Object.entries(whole), specials, refuse);
  return whole as Vocabulary;
}

function checkIds(
  entries: readonly (readonly [token: string, id: unknown])[],
  specials: ReadonlyMap<string, unknown>,
  refuse: Refuse,
): void {
  const owners = new Array<string | undefined>(entries.length).fill(undefined);
  for (const [token, id] of entries) {
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= entries.length) {
      refuse(
        `token ${describe(token)} has id ${describe(id)}; expected the ids 0 to ${entries.length - 1}, each once.`,
      );
    }
    const owner = owners[id as number];
    if (owner !== undefined) refuse(`tokens ${describe(owner)} and ${describe(token)} have the same id ${id}.`);
    if (!BYTE_TOKEN_PATTERN.test(token) && !specials.has(token)) {
      refuse(`token ${describe(token)} is not written in the alphabet of bytes, as byte-level tokens are.`);
    }
    owners[id as number] = token;
  }
}

/** Written as `["a", "b"]` or, in older files, as `"a b"`. */
function readMerges(list: unknown, vocab: Vocabulary, specials: ReadonlyMap<string, unknown>, refuse: Refuse): Merge[] {
  const tokens = new Set(Object.keys(vocab));
  for (const special of specials.keys()) tokens.delete(special);
  const seen = new Set<string>();
  return asArray(list, 'model.merges', refuse).map((entry) => {
    const pair: unknown = typeof entry === 'string' ? entry.split(' ') : entry;
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string' || typeof pair[1] !== 'string') {
      return refuse(`merge ${describe(entry)} is not a pair of tokens.`);
    }
    const [left, right]: string[] = pair;
    for (const token of [left, right, left + right]) {
      if (!tokens.has(token)) {
        refuse(`merge ${describe(pair)} needs ${describe(token)}, which is no token of text.`);
      }
    }
    const key = `${left} ${right}`;
    if (seen.has(key)) refuse(`merge ${describe(pair)} stands there twice.`);
    seen.add(key);
    return [left, right] as const;
  });
}

function expectValue(name: string, value: unknown, expected: unknown, refuse: Refuse): void {
  if (value !== expected) refuse(`${name} is ${describe(value)}; expected ${describe(expected)}.`);
}

function asObject(value: unknown, name: string, refuse: Refuse): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse(`${name} is ${describe(value)}; expected an object.`);
  }
  return value as JsonObject;
}

function asArray(value: unknown, name: string, refuse: Refuse): readonly unknown[] {
  return Array.isArray(value) ? value : refuse(`${name} is ${describe(value)}; expected a list.`);
}

/** Short and harmless on a terminal, whatever the file holds. */
function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) {
    const isPair = value.length === 2 && value.every((part) => typeof part === 'string');
    return isPair ? `[${value.map(describe).join(', ')}]` : 'a list';
  }
  if (typeof value === 'object' && value !== null) return 'an object';
  return shorten(JSON.stringify(value));
}

function shorten(text: string): string {
  const visible = text.replace(/\p{C}/gu, '?');
  return visible.length > 40 ? `${visible.slice(0, 40)}…` : visible;
}
