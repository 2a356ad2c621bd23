// Every key of config.yaml: its section, type, range and default. The only place that knows defaults.
// Checks that concern several keys at once are in validate.ts.

import * as v from 'valibot';

/** A key: what it may hold, in words (for messages) and as a check, and what it holds when nobody sets it. */
export interface Key<T = unknown> {
  readonly fallback: T;
  readonly description: string;
  readonly accepts: (value: unknown) => value is T;
}

const key = <T>(schema: v.GenericSchema<unknown, T>, fallback: T, description: string): Key<T> => ({
  fallback,
  description,
  accepts: (value): value is T => v.is(schema, value),
});

const WHOLE = v.pipe(v.number(), v.safeInteger());
const FINITE = v.pipe(v.number(), v.finite());
const TEXT = v.pipe(v.string(), v.nonEmpty());

const integer = (min: number, max: number, fallback: number) =>
  key(v.pipe(WHOLE, v.minValue(min), v.maxValue(max)), fallback, `a whole number from ${min} to ${max}`);

const text = (fallback: string, what: string) => key(v.pipe(TEXT, v.excludes('\0')), fallback, `${what} (text)`);

const flag = (fallback: boolean) => key(v.boolean(), fallback, 'true or false');

const choice = <const T extends readonly [string, ...string[]]>(values: T, fallback: T[number]) =>
  key<T[number]>(v.picklist(values), fallback, listOf(values, 'or'));

const notNegative = (fallback: number) => key(v.pipe(FINITE, v.minValue(0)), fallback, 'a number, 0 or more');
const positive = (fallback: number) => key(v.pipe(FINITE, v.gtValue(0)), fallback, 'a number above 0');
const fraction = (fallback: number) =>
  key(v.pipe(FINITE, v.minValue(0), v.ltValue(1)), fallback, 'a number from 0 up to, but not including, 1');

/** 32 bits: what the generators of random numbers take. */
const MAX_SEED = 0xffffffff;
/** 256 bytes and 4 special tokens: below that, not every text could be written. */
const MIN_VOCAB_SIZE = 260;

export const SECTIONS = {
  model: {
    n_layer: integer(1, 128, 4),
    n_head: integer(1, 256, 4),
    n_embd: integer(2, 16384, 256),
    seq_len: integer(2, 16384, 128),
    dropout: fraction(0),
  },
  training: {
    batch_size: integer(1, 65536, 16),
    micro_batch: integer(1, 65536, 4),
    lr: positive(0.001),
    min_lr: notNegative(0),
    warmup_steps: integer(0, 1_000_000_000, 100),
    max_steps: integer(1, 1_000_000_000, 2000),
    weight_decay: notNegative(0.01),
    beta1: fraction(0.9),
    beta2: fraction(0.999),
    eps: positive(1e-8),
    grad_clip: notNegative(1),
    eval_interval: integer(1, 1_000_000_000, 20),
    save_interval: integer(1, 1_000_000_000, 200),
    early_stopping_patience: integer(0, 1_000_000_000, 0),
    save_dir: text('checkpoints', 'a folder'),
    seed: integer(0, MAX_SEED, 42),
    threads: key<number | 'auto'>(
      v.union([v.literal('auto'), v.pipe(WHOLE, v.minValue(1), v.maxValue(256))]),
      'auto',
      'auto or a whole number from 1 to 256',
    ),
    init_from: key<string | null>(v.nullable(TEXT), null, 'a checkpoint folder (text) or null'),
    merge_duplicates: flag(true),
  },
  data: {
    train_path: text('data/train.jsonl', 'a file'),
    val_path: text('data/val.jsonl', 'a file'),
    format: choice(['instruct'], 'instruct'),
    shuffle: flag(true),
  },
  tokenizer: {
    type: choice(['hf_tokenizers'], 'hf_tokenizers'),
    path: text('tokenizer/tokenizer.json', 'a file'),
    vocab_size: integer(MIN_VOCAB_SIZE, 65536, 2048),
  },
  tfjs: {
    backend: choice(['auto', 'tensorflow', 'wasm', 'cpu'], 'auto'),
  },
};

/** Keys that stand outside the sections. */
export const TOP_LEVEL = {
  engine: choice(['auto', 'native', 'tfjs'], 'auto'),
  precision: choice(['auto', 'fp32', 'bf16'], 'auto'),
};

type ValuesOf<Keys> = { [Name in keyof Keys]: Keys[Name] extends Key<infer T> ? T : never };

/** The whole configuration as YAML spells it, defaults filled in. */
export type YamlConfig = { [Name in keyof typeof SECTIONS]: ValuesOf<(typeof SECTIONS)[Name]> } & ValuesOf<
  typeof TOP_LEVEL
>;

export type SectionName = keyof typeof SECTIONS;

/** By dotted path (`training.lr`, `engine`). */
export const LEAVES: ReadonlyMap<string, Key> = new Map<string, Key>([
  ...Object.entries(SECTIONS).flatMap(([section, keys]) =>
    Object.entries(keys).map(([name, leaf]): [string, Key] => [`${section}.${name}`, leaf]),
  ),
  ...Object.entries(TOP_LEVEL),
]);

export function isSectionName(name: string): name is SectionName {
  return Object.hasOwn(SECTIONS, name);
}

/** `a, b or c`. */
export function listOf(items: readonly (string | number)[], word: 'and' | 'or'): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} ${word} ${items.at(-1)}`;
}
