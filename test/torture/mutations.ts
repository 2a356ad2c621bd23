// Hostile versions of a good file. fast-check draws the mutations, so a failure is shrunk to the few that matter.

import fc from 'fast-check';

/** Values that readers stumble over. */
const NASTY: unknown[] = [
  null,
  true,
  -1,
  0.5,
  1e308,
  2 ** 31,
  2 ** 53,
  '',
  '__proto__',
  'constructor',
  '../../etc/passwd',
  '(a+)+$',
  '\u0000',
  '\ud800',
  [],
  {},
  [[[[[[]]]]]],
];
const NASTY_KEYS = ['__proto__', 'constructor', 'prototype', 'toString', '', '__metadata__', 'data_offsets'];
const NASTY_TEXTS = [
  '\u0000',
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '-',
  '&a',
  '*a',
  '<<: *a',
  '\n',
  '\t',
  '1e999',
  'NaN',
  '\ufeff',
];

export interface ByteMutation {
  readonly kind: 'flip' | 'set' | 'cut' | 'insert' | 'repeat' | 'truncate';
  /** 0 to 1: where. */
  readonly at: number;
  readonly size: number;
  readonly byte: number;
}

export interface ValueMutation {
  readonly kind: 'replace' | 'remove' | 'rename' | 'add' | 'nest';
  readonly at: number;
  readonly value: unknown;
  readonly key: string;
}

const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

export const byteMutations: fc.Arbitrary<ByteMutation[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('flip', 'set', 'cut', 'insert', 'repeat', 'truncate'),
    at: place,
    size: fc.integer({ min: 1, max: 40 }),
    byte: fc.oneof(
      fc.integer({ min: 0, max: 255 }),
      fc.constantFrom(...NASTY_TEXTS).map((text) => Buffer.from(text)[0]),
    ),
  }),
  { minLength: 1, maxLength: 4 },
);

export const valueMutations: fc.Arbitrary<ValueMutation[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('replace', 'remove', 'rename', 'add', 'nest'),
    at: place,
    value: fc.oneof(fc.constantFrom(...NASTY), fc.jsonValue({ maxDepth: 2 })),
    key: fc.oneof(fc.constantFrom(...NASTY_KEYS), fc.string({ maxLength: 8 })),
  }),
  { minLength: 1, maxLength: 3 },
);

export function mutateBytes(original: Uint8Array, mutations: readonly ByteMutation[]): Uint8Array {
  let bytes = Buffer.from(original);
  for (const { kind, at, size, byte } of mutations) {
    const i = Math.floor(at * bytes.length);
    const [head, tail] = [bytes.subarray(0, i), bytes.subarray(i)];
    if (kind === 'truncate') bytes = Buffer.from(head);
    else if (kind === 'cut') bytes = Buffer.concat([head, tail.subarray(size)]);
    else if (kind === 'insert') bytes = Buffer.concat([head, Buffer.alloc(size, byte), tail]);
    else if (kind === 'repeat') bytes = Buffer.concat([head, tail.subarray(0, size), tail]);
    else if (i < bytes.length) bytes[i] = kind === 'set' ? byte : bytes[i] ^ (1 << (byte & 7));
  }
  return bytes;
}

/** A JSON text with mutated values and keys; a key `__proto__` is a key of its own, as in a hostile file. */
export function mutateJson(original: string, mutations: readonly ValueMutation[]): string {
  const root: { value: unknown } = { value: JSON.parse(original) };
  for (const mutation of mutations) {
    const places = placesOf(root);
    mutateAt(places[Math.floor(mutation.at * places.length)], mutation);
  }
  return JSON.stringify(root.value) ?? '';
}

type Holder = Record<string, unknown>;

/** Every value below `root`, as the object that holds it and its key. */
function placesOf(root: object): [holder: Holder, key: string][] {
  const places: [Holder, string][] = [];
  const walk = (holder: object) => {
    for (const [key, value] of Object.entries(holder)) {
      places.push([holder as Holder, key]);
      if (typeof value === 'object' && value !== null) walk(value);
    }
  };
  walk(root);
  return places;
}

function mutateAt([holder, key]: [Holder, string], { kind, value: shared, key: name }: ValueMutation): void {
  // A copy: put into itself by the next mutation, the value would have no end.
  const value = structuredClone(shared);
  const put = (target: object, at: string, what: unknown) =>
    Object.defineProperty(target, at, { value: what, enumerable: true, configurable: true, writable: true });
  const present = holder[key];
  if (kind === 'replace' || Array.isArray(holder)) put(holder, key, value);
  else if (kind === 'nest') put(holder, key, { [key]: present });
  else if (kind === 'add' && typeof present === 'object' && present !== null && !Array.isArray(present)) {
    put(present, name, value);
  } else if (key !== 'value') {
    delete holder[key];
    if (kind === 'rename') put(holder, name, present);
  }
}
