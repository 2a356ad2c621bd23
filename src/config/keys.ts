// Every key of config.yaml: its section, type, range and default. The only place that knows defaults.
// Checks that concern several keys at once are in validate.ts.

import { z } from 'zod';

const integer = (min: number, max: number, fallback: number) =>
  z.int().min(min).max(max).default(fallback).describe(`a whole number from ${min} to ${max}`);

const text = (fallback: string, what: string) =>
  z
    .string()
    .min(1)
    .refine((value) => !value.includes('\0'))
    .default(fallback)
    .describe(`${what} (text)`);

const flag = (fallback: boolean) => z.boolean().default(fallback).describe('true or false');

const choice = <const T extends readonly [string, ...string[]]>(values: T, fallback: T[number]) =>
  z
    .enum(values)
    .default(() => fallback as never)
    .describe(listOf(values, 'or'));

const notNegative = (fallback: number) => z.number().min(0).default(fallback).describe('a number, 0 or more');
const positive = (fallback: number) => z.number().gt(0).default(fallback).describe('a number above 0');
const fraction = (fallback: number) =>
  z.number().min(0).lt(1).default(fallback).describe('a number from 0 up to, but not including, 1');

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
    lr: positive(0.0006),
    min_lr: notNegative(0),
    warmup_steps: integer(0, 1_000_000_000, 5),
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
    threads: z
      .union([z.literal('auto'), z.int().min(1).max(256)])
      .default('auto')
      .describe('auto or a whole number from 1 to 256'),
    init_from: z.string().min(1).nullable().default(null).describe('a checkpoint folder (text) or null'),
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

export const SCHEMA = z.strictObject({
  model: z.strictObject(SECTIONS.model).prefault({}),
  training: z.strictObject(SECTIONS.training).prefault({}),
  data: z.strictObject(SECTIONS.data).prefault({}),
  tokenizer: z.strictObject(SECTIONS.tokenizer).prefault({}),
  tfjs: z.strictObject(SECTIONS.tfjs).prefault({}),
  ...TOP_LEVEL,
});

/** The whole configuration as YAML spells it, defaults filled in. */
export type YamlConfig = z.output<typeof SCHEMA>;

export type SectionName = keyof typeof SECTIONS;

/** Dotted path of a key (`training.lr`, `engine`) to its schema. */
export const LEAVES: ReadonlyMap<string, z.ZodType> = new Map<string, z.ZodType>([
  ...Object.entries(SECTIONS).flatMap(([section, keys]) =>
    Object.entries(keys).map(([key, schema]): [string, z.ZodType] => [`${section}.${key}`, schema]),
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
