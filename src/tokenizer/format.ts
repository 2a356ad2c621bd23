// The file format: Hugging Face's tokenizer.json, narrowed to the one kind we make and read (byte-level BPE, our template).

import { createHash } from 'node:crypto';

export const BOS = '<bos>';
export const EOS = '<eos>';
export const PAD = '<pad>';
export const UNK = '<unk>';

/** In the order of their ids, from 0. */
export const SPECIAL_TOKENS: readonly string[] = [BOS, EOS, PAD, UNK];

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: false;
  readonly lstrip: false;
  readonly rstrip: false;
  readonly normalized: false;
  readonly special: true;
}

export type Merge = readonly [left: string, right: string];

/** A type rather than an interface: Hugging Face's library wants something that can be indexed. */
export type TokenizerJson = {
  readonly version: '1.0';
  readonly truncation: null;
  readonly padding: null;
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer: null;
  readonly pre_tokenizer: typeof BYTE_LEVEL;
  readonly post_processor: ReturnType<typeof createTemplate>;
  readonly decoder: typeof BYTE_LEVEL;
  readonly model: {
    readonly type: 'BPE';
    readonly dropout: null;
    readonly unk_token: string;
    readonly continuing_subword_prefix: null;
    readonly end_of_word_suffix: null;
    readonly fuse_unk: false;
    readonly byte_fallback: false;
    readonly ignore_merges: false;
    /** Token -> id; every id from 0 to the size - 1. */
    readonly vocab: Vocabulary;
    /** In the order in which they are applied. */
    readonly merges: readonly Merge[];
  };
};

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true } as const;

export type Vocabulary = Readonly<Record<string, number>>;

/** `specials` are the tokens of `vocab` that no text can produce. */
export function createTokenizerJson(
  vocab: Vocabulary,
  merges: readonly Merge[],
  specials: readonly string[] = SPECIAL_TOKENS,
): TokenizerJson {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specials.map((content) => createAddedToken(content, vocab[content])),
    normalizer: null,
    pre_tokenizer: BYTE_LEVEL,
    post_processor: createTemplate(vocab[BOS], vocab[EOS]),
    decoder: BYTE_LEVEL,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: UNK,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}

/** The text of the file, one token or merge a line. Equal tokenizers give equal texts. */
export function formatTokenizer(json: TokenizerJson): string {
  const { vocab, merges, ...settings } = json.model;
  const tokens = tokensOf(vocab).map((token, id) => `${JSON.stringify(token)}: ${id}`);
  const model = [
    ...formatFields(settings),
    `"vocab": ${formatBlock(tokens, '{', '}', '    ')}`,
    `"merges": ${formatBlock(
      merges.map((merge) => JSON.stringify(merge)),
      '[',
      ']',
      '    ',
    )}`,
  ];
  const fields = Object.entries(json).flatMap(([key, value]) =>
    key === 'model' ? [`"model": ${formatBlock(model, '{', '}', '  ')}`] : formatFields({ [key]: value }),
  );
  return `${formatBlock(fields, '{', '}', '')}\n`;
}

/** SHA-256 in hex over all that tells two tokenizers apart, however their files are written. */
export function fingerprintOf({ added_tokens, model }: TokenizerJson): string {
  const specials = added_tokens.map(({ content }) => content).sort();
  const content = JSON.stringify([specials, tokensOf(model.vocab), model.merges]);
  return createHash('sha256').update(content).digest('hex');
}

/** In the order of their ids. */
export function tokensOf(vocab: Vocabulary): string[] {
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(vocab)) tokens[id] = token;
  return tokens;
}

function formatFields(fields: object): string[] {
  return Object.entries(fields).map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`);
}

function formatBlock(items: readonly string[], open: string, close: string, indent: string): string {
  if (items.length === 0) return open + close;
  return `${open}\n${items.map((item) => `${indent}  ${item}`).join(',\n')}\n${indent}${close}`;
}

function createAddedToken(content: string, id: number): AddedToken {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

/** `<bos> $A <eos>`; a pair is the library's default, the one text after the other. */
function createTemplate(bosId: number, eosId: number) {
  const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const sequence = (id: 'A' | 'B', type_id: number) => ({ Sequence: { id, type_id } });
  return {
    type: 'TemplateProcessing',
    single: [special(BOS), sequence('A', 0), special(EOS)],
    pair: [sequence('A', 0), sequence('B', 1)],
    special_tokens: {
      [BOS]: { id: BOS, ids: [bosId], tokens: [BOS] },
      [EOS]: { id: EOS, ids: [eosId], tokens: [EOS] },
    },
  } as const;
}
