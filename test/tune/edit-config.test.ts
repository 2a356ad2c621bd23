// Putting two values into the text of a configuration: nothing else in it may change.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { editTraining } from '../../src/tune/edit-config.js';
import { repoRoot } from '../helpers/paths.js';

const edit = (text: string) => editTraining(text, { threads: 2, micro_batch: 8 }, 'config.yaml');

const cases: [what: string, before: string, after: string][] = [
  [
    'keeps comments, order and spacing',
    '# mine\nmodel:\n  n_layer: 2 # small\n\ntraining:\n    threads:   auto   # all of them\n    lr: 1e-3\n    # samples\n    micro_batch: 4\n# end',
    '# mine\nmodel:\n  n_layer: 2 # small\n\ntraining:\n    threads:   2   # all of them\n    lr: 1e-3\n    # samples\n    micro_batch: 8\n# end',
  ],
  [
    'keeps Windows line ends',
    'training:\r\n  micro_batch: 4\r\n  threads: auto\r\ndata:\r\n  shuffle: true\r\n',
    'training:\r\n  micro_batch: 8\r\n  threads: 2\r\ndata:\r\n  shuffle: true\r\n',
  ],
  [
    'adds missing keys below the last one of the section, indented like it',
    'training:\n   lr: 0.1\n\n# next\ndata:\n   shuffle: true\n',
    'training:\n   lr: 0.1\n   threads: 2\n   micro_batch: 8\n\n# next\ndata:\n   shuffle: true\n',
  ],
  [
    'adds missing keys with Windows line ends, also after a last line without one',
    'seed_of_nothing: 1\r\ntraining:\r\n  threads: 3',
    'seed_of_nothing: 1\r\ntraining:\r\n  threads: 2\r\n  micro_batch: 8\r\n',
  ],
  ['adds a missing section', 'engine: auto\n', 'engine: auto\ntraining:\n  threads: 2\n  micro_batch: 8\n'],
  ['fills an empty file', '', 'training:\n  threads: 2\n  micro_batch: 8\n'],
  [
    'fills a section whose keys are commented out',
    'training:\n  # lr: 1\nengine: auto\n',
    'training:\n  threads: 2\n  micro_batch: 8\n  # lr: 1\nengine: auto\n',
  ],
  [
    'edits sections in braces',
    'training: {micro_batch: 4, threads: "auto", seed: 1} # short\n',
    'training: {micro_batch: 8, threads: 2, seed: 1} # short\n',
  ],
  [
    'edits quoted keys and keys without a value',
    'training:\n  "threads": \'auto\'\n  micro_batch:\n',
    'training:\n  "threads": 2\n  micro_batch: 8\n',
  ],
  [
    'does not touch the same words elsewhere',
    '# threads: auto\nnotes:\n  threads: many # micro_batch: 4\ntraining:\n  save_dir: threads\n  threads: auto # threads: auto\n  micro_batch: 4\n',
    '# threads: auto\nnotes:\n  threads: many # micro_batch: 4\ntraining:\n  save_dir: threads\n  threads: 2 # threads: auto\n  micro_batch: 8\n',
  ],
  [
    'changes nothing that is right already',
    'training: {threads: 2,  micro_batch: 8}',
    'training: {threads: 2,  micro_batch: 8}',
  ],
];

for (const [what, before, after] of cases) {
  test(`edit config: ${what}`, () => assert.equal(edit(before), after));
}

test('edit config: of the shipped config.yaml two lines change', () => {
  const before = readFileSync(join(repoRoot, 'config.yaml'), 'utf8');
  const after = edit(before).split('\n');
  const changed = before.split('\n').flatMap((line, i) => (line === after[i] ? [] : [[line, after[i]]]));
  assert.deepEqual(changed, [
    ['  micro_batch: 4', '  micro_batch: 8'],
    ['  threads: auto', '  threads: 2'],
  ]);
});

for (const [what, text] of [
  ['a value on a line of its own', 'training:\n  threads:\n    auto\n  micro_batch: 4\n'],
  ['an empty section in braces', 'training: {}\n'],
]) {
  test(`edit config: ${what} is left to the user, with what to put in`, () => {
    assert.throws(() => edit(text), {
      name: 'ConfigError',
      message:
        "config.yaml is written in a way that can't be edited without touching more than these values.\n" +
        '  Expected one `key: value` a line below `training:`. Put them in by hand:\n' +
        '  training:\n    threads: 2\n    micro_batch: 8',
    });
  });
}
