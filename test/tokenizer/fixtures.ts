// What Hugging Face's Rust library answered; made by scripts/make-tokenizer-fixture.py.

import { readFileSync } from 'node:fs';
import { fixture } from '../helpers/paths.js';

interface Answers {
  /** (texts) ids of each text between `<bos>` and `<eos>`. */
  readonly ids: readonly (readonly number[])[];
}

interface OddFixture extends Answers {
  readonly vocab_size: number;
  readonly min_frequency: number;
  readonly texts: readonly string[];
  readonly tokens: readonly string[];
  /** Each `left right`. */
  readonly merges: readonly string[];
}

interface IncompleteFixture extends Answers {
  /** Text of a tokenizer.json; its ids are those of the texts of `odd`. */
  readonly tokenizer: string;
}

interface ShippedFixture extends Answers {
  readonly vocab_size: number;
  readonly data_sha256: string;
  readonly merges: readonly string[];
}

export const odd = load<OddFixture>('odd');
export const incomplete = load<IncompleteFixture>('incomplete');
export const shipped = load<ShippedFixture>('shipped');

function load<T>(name: string): T {
  return JSON.parse(readFileSync(fixture(`tokenizer/${name}.json`), 'utf8')) as T;
}
