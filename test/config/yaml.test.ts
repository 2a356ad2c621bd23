// YAML text -> values and lines: what is read, what is refused, and the line each message names.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseScalar, parseYaml } from '../../src/config/yaml.js';
import { ConfigError } from '../../src/errors.js';

test('yaml: reads sections and remembers the line of every key', () => {
  const text =
    '# comment\r\nmodel:\r\n  n_layer: 4 # four\r\n\r\n  "n_head": 2\r\ndata: {train_path: a, list: [x, {y: 1}],\r\n  val_path: b}\r\n';
  const { values, lines } = parseYaml(text, 'c.yaml');
  assert.deepEqual(
    { ...values },
    {
      model: { n_layer: 4, n_head: 2 },
      data: { train_path: 'a', list: ['x', { y: 1 }], val_path: 'b' },
    },
  );
  assert.deepEqual(Object.fromEntries(lines), {
    model: 2,
    'model.n_layer': 3,
    'model.n_head': 5,
    data: 6,
    'data.train_path': 6,
    'data.list': 6,
    'data.list.y': 6,
    'data.val_path': 7,
  });
});

test('yaml: takes a file without content as an empty configuration', () => {
  for (const text of ['', '\n', '# only a comment\n', '---\n', '---\n# x\n...\n']) {
    assert.deepEqual(parseYaml(text, 'c.yaml'), { values: {}, lines: new Map() }, JSON.stringify(text));
  }
});

test('yaml: reads scalars by YAML 1.2 rules', () => {
  const cases: [string, unknown][] = [
    ['3e-4', 0.0003],
    ['1e-3', 0.001],
    ['.5', 0.5],
    ['-0', -0],
    ['0x10', 16],
    ['true', true],
    ['null', null],
    ['yes', 'yes'],
    ['1_000', '1_000'],
    ['2024-01-01', '2024-01-01'],
    ['"7"', '7'],
    ['[1]', '[1]'],
    ['a: b', 'a: b'],
    ['*x', '*x'],
    ['', ''],
    ['用户', '用户'],
  ];
  for (const [text, value] of cases) assert.deepEqual(parseScalar(text), value, text);
});

const ADVICE =
  'Write one `key: value` a line, indent the keys of a section by two spaces, and put a space after the colon.';

const refused: [what: string, text: string, message: string][] = [
  [
    'a key that stands twice',
    'training:\n  lr: 1\n  seed: 2\n  lr: 3\n',
    'c.yaml line 4: training.lr is set a second time; it already stands in line 2.\n  Keep one of the two.',
  ],
  [
    'an anchor',
    'model:\n  n_layer: &n 4\n',
    'c.yaml line 2: anchors and aliases (&n) are not allowed in a configuration.\n' +
      '  Write the value out where it is needed; text that starts with & or * needs quotes.',
  ],
  [
    'an alias',
    'model:\n  n_layer: *n\n',
    'c.yaml line 2: anchors and aliases (*n) are not allowed in a configuration.\n' +
      '  Write the value out where it is needed; text that starts with & or * needs quotes.',
  ],
  [
    'a second document',
    'model:\n---\ndata:\n',
    'c.yaml holds more than one YAML document.\n' +
      '  A configuration is a single document: remove the `---` line in the middle and what follows it.',
  ],
  [
    'a list',
    '# x\n- 1\n',
    'c.yaml line 2: expected sections with keys, got a list.\n  A configuration starts like this:\n    model:\n      n_layer: 4',
  ],
  [
    'plain text',
    'hello\n',
    'c.yaml line 1: expected sections with keys, got the text "hello".\n' +
      '  A configuration starts like this:\n    model:\n      n_layer: 4',
  ],
  [
    'an unclosed quote',
    'data:\n  val_path: "x\n',
    `c.yaml line 3, column 1: not valid YAML: deficient indentation.\n  Line 2 reads:   val_path: "x\n  ${ADVICE}`,
  ],
  [
    'a tab in the indentation',
    'model:\n\tn_layer: 4\n',
    'c.yaml line 2, column 1: not valid YAML: tab characters must not be used in indentation.\n' +
      '  Line 2 reads: \tn_layer: 4\n  YAML forbids tabs in the indentation: use two spaces.',
  ],
  [
    'a full-width colon',
    'training:\n  lr：0.1\n  seed: 1\n',
    'c.yaml line 3, column 7: not valid YAML: bad indentation of a mapping entry.\n' +
      '  Line 3 reads:   seed: 1\n  Line 2 has a full-width colon (：): write an ASCII colon and a space.',
  ],
  [
    'deep nesting',
    `x: ${'['.repeat(5000)}\n`,
    'c.yaml line 1, column 13: not valid YAML: nesting exceeded maxDepth (10).\n' +
      `  Line 1 reads: x: ${'['.repeat(54)}...\n  ${ADVICE}`,
  ],
];

for (const [what, text, message] of refused) {
  test(`yaml: refuses ${what} and says where`, () => {
    assert.throws(
      () => parseYaml(text, 'c.yaml'),
      (error: Error) => {
        assert.ok(error instanceof ConfigError);
        assert.equal(error.message, message);
        return true;
      },
    );
  });
}

test('yaml: whatever the text, it returns a mapping or throws ConfigError', () => {
  const piece = fc.constantFrom(
    'model',
    'lr',
    ': ',
    ':\n  ',
    '\n',
    '- ',
    '&a ',
    '*a',
    '---\n',
    '{',
    '}',
    '[',
    ']',
    '"',
    '|\n',
    '?',
    '!!int ',
    '\t',
    '1',
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 25 }).map((pieces) => pieces.join('')),
    fc.string({ unit: 'binary', maxLength: 40 }),
  );
  fc.assert(
    fc.property(text, (source) => {
      try {
        assert.equal(typeof parseYaml(source, 'c.yaml').values, 'object');
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
      }
    }),
    { numRuns: 500, seed: 7 },
  );
});
