import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DataError } from '../../src/errors.js';
import { createTokenizer, parseTokenizer } from '../../src/tokenizer/tokenizer.js';
import { trainBpe } from '../../src/tokenizer/train.js';
import { incomplete, odd } from './fixtures.js';

const good = createTokenizer(trainBpe(odd.texts, { vocabSize: 400 })).toJson();
const FIX = '\n  Make one from the training data: npx gpt-loom tokenizer build';

interface Loose {
  [key: string]: unknown;
  added_tokens: Record<string, unknown>[];
  model: { [key: string]: unknown; vocab: Record<string, unknown>; merges: unknown[] };
}

/** The good file after `change`. */
function changed(change: (file: Loose) => void): string {
  const file = JSON.parse(good) as Loose;
  change(file);
  return JSON.stringify(file);
}

function messageOf(text: string): string {
  try {
    parseTokenizer(text, 'some/tokenizer.json');
  } catch (error) {
    assert.ok(error instanceof DataError, String(error));
    return error.message.replace('some/tokenizer.json is not a tokenizer that can be used here: ', '').replace(FIX, '');
  }
  return 'accepted';
}

const cases: readonly [name: string, change: (file: Loose) => void, message: string][] = [
  [
    'a pattern of its own',
    (file) => {
      file.pre_tokenizer = { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Isolated', invert: false };
    },
    'pre_tokenizer.type is "Split"; expected "ByteLevel".',
  ],
  [
    'several pre-tokenizers',
    (file) => {
      file.pre_tokenizer = { type: 'Sequence', pretokenizers: [file.pre_tokenizer] };
    },
    'pre_tokenizer.type is "Sequence"; expected "ByteLevel".',
  ],
  [
    'a space before each text',
    (file) => {
      file.pre_tokenizer = { type: 'ByteLevel', add_prefix_space: true };
    },
    'pre_tokenizer.add_prefix_space is true; expected false.',
  ],
  [
    'a normaliser',
    (file) => {
      file.normalizer = { type: 'Replace', pattern: { Regex: '(a+)+$' }, content: '' };
    },
    'it changes the text before encoding (normalizer); expected none.',
  ],
  [
    'another decoder',
    (file) => {
      file.decoder = { type: 'Replace', pattern: { Regex: '(a+)+$' }, content: '' };
    },
    'decoder.type is "Replace"; expected "ByteLevel".',
  ],
  [
    'no template',
    (file) => {
      file.post_processor = null;
    },
    'post_processor is null; expected an object.',
  ],
  [
    'another template',
    (file) => {
      file.post_processor = {
        type: 'TemplateProcessing',
        single: [{ Sequence: { id: 'A' } }, { SpecialToken: { id: '<eos>' } }],
      };
    },
    'its template is $A <eos>; expected <bos> $A <eos>.',
  ],
  [
    'broken template entries',
    (file) => {
      file.post_processor = { type: 'TemplateProcessing', single: [null, 7, {}] };
    },
    'its template is $undefined $undefined $undefined; expected <bos> $A <eos>.',
  ],
  [
    'another model',
    (file) => {
      file.model.type = 'Unigram';
    },
    'model.type is "Unigram"; expected "BPE".',
  ],
  [
    'bytes as fallback',
    (file) => {
      file.model.byte_fallback = true;
    },
    'model.byte_fallback is true; expected false.',
  ],
  [
    'a special token too few',
    (file) => {
      file.added_tokens.splice(1, 2);
    },
    'added_tokens lacks <eos>, <pad>.',
  ],
  [
    'an added token that is not special',
    (file) => {
      file.added_tokens.push({ id: 4, content: '!', special: false });
    },
    'added token "!" is not special; expected special tokens only.',
  ],
  [
    'two ids for one special token',
    (file) => {
      file.added_tokens[0].id = 7;
    },
    '"<bos>" has id 7 in added_tokens but 0 in vocab.',
  ],
  [
    'a gap in the ids',
    (file) => {
      file.model.vocab['!'] = 400;
    },
    'token "!" has id 400; expected the ids 0 to 399, each once.',
  ],
  [
    'an id that is no number',
    (file) => {
      file.model.vocab['!'] = '4';
    },
    'token "!" has id "4"; expected the ids 0 to 399, each once.',
  ],
  [
    'two tokens with one id',
    (file) => {
      file.model.vocab['!'] = 5;
    },
    'tokens "!" and "\\"" have the same id 5.',
  ],
  [
    'a token outside the alphabet, with an escape sequence',
    (file) => {
      delete file.model.vocab['!'];
      file.model.vocab['\u001b[31m'.padEnd(60, 'x')] = 4;
    },
    `token "\\u001b[31m${'x'.repeat(29)}… is not written in the alphabet of bytes, as byte-level tokens are.`,
  ],
  [
    'a merge that makes no token',
    (file) => {
      file.model.merges.push(['!', '!!!!!!']);
    },
    'merge ["!", "!!!!!!"] needs "!!!!!!", which is no token of text.',
  ],
  [
    'a merge that makes a special token',
    (file) => {
      // `<bos>` out of bytes would let a text forge it.
      for (const token of ['<b', 'os>']) file.model.vocab[token] = Object.keys(file.model.vocab).length;
      file.model.merges.push(['<b', 'os>']);
    },
    'merge ["<b", "os>"] needs "<bos>", which is no token of text.',
  ],
  [
    'a merge twice',
    (file) => {
      file.model.merges.push(file.model.merges[0]);
    },
    `merge ${JSON.stringify(odd.merges[0].split(' ')).replace(',', ', ')} stands there twice.`,
  ],
  [
    'a merge of three',
    (file) => {
      file.model.merges.push('a b c');
    },
    'merge "a b c" is not a pair of tokens.',
  ],
  [
    'a list for a vocabulary',
    (file) => {
      file.model.vocab = [] as never;
    },
    'model.vocab is a list; expected an object.',
  ],
  [
    'no merges',
    (file) => {
      file.model.merges = undefined as never;
    },
    'model.merges is missing; expected a list.',
  ],
];

test('parse: refuses every file that would change texts, run a pattern or forge a token, and says why', () => {
  assert.equal(messageOf(good), 'accepted');
  for (const [name, change, message] of cases) assert.equal(messageOf(changed(change)), message, name);
});

test('parse: names the file and what to do', () => {
  assert.throws(() => parseTokenizer('{', 'some/tokenizer.json'), {
    name: 'DataError',
    message: `some/tokenizer.json is not a tokenizer that can be used here: it is not JSON.${FIX}`,
  });
});

test('parse: refuses what is no object at all', () => {
  assert.equal(messageOf(''), 'it is not JSON.');
  assert.equal(messageOf('[]'), 'the file is a list; expected an object.');
  assert.equal(messageOf('null'), 'the file is null; expected an object.');
  assert.equal(messageOf('['.repeat(100_000)), 'it is not JSON.');
  assert.equal(messageOf('{}'), 'pre_tokenizer is missing; expected an object.');
});

test('parse: reads files with a byte-order mark, specials outside the vocabulary, and fields that do not matter', () => {
  assert.equal(messageOf(`\ufeff${good}`), 'accepted');
  const text = changed((file) => {
    for (const token of ['<bos>', '<eos>', '<pad>', '<unk>']) delete file.model.vocab[token];
    file.padding = { strategy: 'BatchLongest' };
    file.added_tokens.push({ id: 400, content: '<额外>', special: true });
  });
  const tokenizer = parseTokenizer(text, 'x');
  assert.equal(tokenizer.vocabSize, 401);
  assert.equal(tokenizer.decode([400, 0]), '');
  assert.deepEqual(tokenizer.encode('<额外>', { special: false }).includes(400), false);
});

test('parse: a changed file is refused or works, and never does anything else', () => {
  const files = [good, incomplete.tokenizer];
  const edit = fc.record({
    file: fc.nat({ max: files.length - 1 }),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.nat({ max: 20 }),
    insert: fc.oneof(
      fc.string({ maxLength: 8 }),
      fc.constantFrom('null', '{}', '[]', '-1', '1e99', '"__proto__"', ',', '"'),
    ),
  });
  fc.assert(
    fc.property(edit, ({ file, at, length, insert }) => {
      const text = files[file];
      const start = Math.floor(at * text.length);
      const mutant = text.slice(0, start) + insert + text.slice(start + length);
      try {
        const tokenizer = parseTokenizer(mutant, 'mutant');
        tokenizer.decode(tokenizer.encode('注意力 attention\n', { special: true }));
      } catch (error) {
        assert.ok(error instanceof DataError, String(error));
      }
    }),
    { numRuns: 300, seed: 1 },
  );
});
