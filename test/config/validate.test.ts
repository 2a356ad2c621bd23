// Why a key is refused: the exact text for each kind of mistake, with the line it names.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { configFromObject, type LoadConfigOptions, loadConfig } from '../../src/config/load.js';
import { ConfigError } from '../../src/errors.js';

const folder = mkdtempSync(join(tmpdir(), 'gpt-loom-config-'));
after(() => rmSync(folder, { recursive: true }));

/** The message with the temporary folder cut out of it. */
function messageFor(text: string, options: LoadConfigOptions = {}): string {
  const configPath = join(folder, 'c.yaml');
  writeFileSync(configPath, text);
  return messageOf(() => loadConfig({ configPath, ...options }));
}

function messageOf(load: () => unknown): string {
  try {
    load();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message.replaceAll(`${folder}/`, '');
  }
  return 'accepted';
}

const cases: [what: string, text: string, message: string][] = [
  [
    'names the nearest key and the line',
    '# mine\nmodel:\n  n_layr: 3\n',
    'c.yaml line 3: unknown key model.n_layr.\n  Did you mean model.n_layer?',
  ],
  [
    'knows camelCase',
    'training:\n  batchSize: 3\n',
    'c.yaml line 2: unknown key training.batchSize.\n  Did you mean training.batch_size?',
  ],
  [
    'knows what other programs call a key',
    'training:\n  learning_rate: 1\n',
    'c.yaml line 2: unknown key training.learning_rate.\n  Did you mean training.lr?',
  ],
  [
    'sends a key to its section',
    'model:\n  lr: 1\n',
    'c.yaml line 2: unknown key model.lr.\n  "lr" belongs to the section "training": did you mean training.lr?',
  ],
  [
    'sends a key out of a section',
    'training:\n  engine: tfjs\n',
    'c.yaml line 2: unknown key training.engine.\n  "engine" belongs at the top level, outside the sections.',
  ],
  [
    'names the nearest section',
    'trainig:\n  lr: 1\n',
    'c.yaml line 1: unknown key trainig.\n  Did you mean the section "training"?',
  ],
  [
    'explains dotted keys',
    'training.lr: 1\n',
    'c.yaml line 1: unknown key training.lr.\n  Write it as "lr: ..." below "training:", indented by two spaces; dots are for --set.',
  ],
  [
    'lists the keys of the section when none is near',
    'model:\n  foo: 1\n',
    'c.yaml line 2: unknown key model.foo.\n  Known here: n_layer, n_head, n_embd, seq_len, dropout.',
  ],
  [
    'takes __proto__ for a key like any other',
    '__proto__:\n  x: 1\n',
    'c.yaml line 1: unknown key __proto__.\n  Known here: model, training, data, tokenizer, tfjs, engine, precision.',
  ],
  [
    'shows value, expectation and default of a wrong type',
    'training:\n  lr: fast\n',
    'c.yaml line 2: training.lr is the text "fast"; expected a number above 0.\n  The default is 0.001.',
  ],
  [
    'refuses a learning rate of 0',
    'training:\n  lr: 0\n',
    'c.yaml line 2: training.lr is 0; expected a number above 0.\n  The default is 0.001.',
  ],
  [
    'refuses infinity',
    'training:\n  lr: .inf\n',
    'c.yaml line 2: training.lr is Infinity; expected a number above 0.\n  The default is 0.001.',
  ],
  [
    'refuses NaN',
    'training:\n  eps: .nan\n',
    'c.yaml line 2: training.eps is NaN; expected a number above 0.\n  The default is 1e-8.',
  ],
  [
    'refuses half a step',
    'training:\n  max_steps: 1.5\n',
    'c.yaml line 2: training.max_steps is 1.5; expected a whole number from 1 to 1000000000.\n  The default is 2000.',
  ],
  [
    'refuses a dropout of 1',
    'model:\n  dropout: 1\n',
    'c.yaml line 2: model.dropout is 1; expected a number from 0 up to, but not including, 1.\n  The default is 0.',
  ],
  [
    'explains a decimal comma',
    'training:\n  lr: 0,001\n',
    'c.yaml line 2: training.lr is the text "0,001"; expected a number above 0.\n' +
      '  Write it without quotes, spaces and underscores, and with a point for the decimals. The default is 0.001.',
  ],
  [
    'explains yes',
    'data:\n  shuffle: yes\n',
    'c.yaml line 2: data.shuffle is the text "yes"; expected true or false.\n' +
      '  Write true for yes and on, false for no and off. The default is true.',
  ],
  [
    'explains a folder that looks like a number',
    'training:\n  save_dir: 2024\n',
    'c.yaml line 2: training.save_dir is 2024; expected a folder (text).\n  Put it in quotes. The default is checkpoints.',
  ],
  [
    'explains an empty value',
    'training:\n  lr:\n',
    'c.yaml line 2: training.lr is nothing; expected a number above 0.\n  Give a value, or leave the key out. The default is 0.001.',
  ],
  [
    'refuses no threads',
    'training:\n  threads: 0\n',
    'c.yaml line 2: training.threads is 0; expected auto or a whole number from 1 to 256.\n  The default is auto.',
  ],
  [
    'lists the choices',
    'engine: cuda\n',
    'c.yaml line 1: engine is the text "cuda"; expected auto, native or tfjs.\n  The default is auto.',
  ],
  [
    'refuses a vocabulary without room for all bytes',
    'tokenizer:\n  vocab_size: 259\n',
    'c.yaml line 2: tokenizer.vocab_size is 259; expected a whole number from 260 to 65536.\n  The default is 2048.',
  ],
  [
    'refuses a value where a section belongs',
    'data: data/train.jsonl\n',
    'c.yaml line 1: data is the text "data/train.jsonl"; expected a section of keys.\n' +
      '  Put its keys below it, indented by two spaces, each with a colon and a space: train_path, val_path, format and shuffle.',
  ],
  [
    'lists the micro-batches that fit a batch',
    'training:\n  batch_size: 16\n  micro_batch: 5\n',
    'c.yaml line 3: training.batch_size 16 cannot be split evenly into micro-batches of 5 (training.micro_batch).\n' +
      '  Every micro-batch must hold the same number of samples. Use micro_batch 1, 2, 4, 8 or 16, or batch_size 15 or 20.',
  ],
  [
    'blames the batch when only that was set',
    'training:\n  batch_size: 3\n',
    'c.yaml line 2: training.batch_size 3 cannot be split evenly into micro-batches of 4 (training.micro_batch).\n' +
      '  Every micro-batch must hold the same number of samples. Use micro_batch 1 or 3, or batch_size 4.',
  ],
  [
    'lists the heads that fit the channels',
    'model:\n  n_embd: 24\n  n_head: 5\n',
    'c.yaml line 3: model.n_embd 24 cannot be split evenly over 5 heads (model.n_head).\n' +
      '  All heads have the same, even number of channels (RoPE rotates them in pairs). Use n_head 1, 2, 3, 4, 6 or 12, or n_embd 20 or 30.',
  ],
  [
    'refuses heads of an odd number of channels',
    'model:\n  n_embd: 12\n',
    'c.yaml line 2: model.n_embd 12 over 4 heads (model.n_head) makes heads of 3 channels, an odd number.\n' +
      '  All heads have the same, even number of channels (RoPE rotates them in pairs). Use n_head 1, 2, 3 or 6, or n_embd 8 or 16.',
  ],
  [
    'refuses a model that no memory here would hold',
    'model:\n  n_embd: 16384\n',
    'c.yaml line 2: model.n_layer 4 with model.n_embd 16384 makes a model of 12885 million parameters; expected at most 250 million.\n' +
      '  Use fewer layers or channels.',
  ],
  [
    'refuses a learning rate that would rise',
    'training:\n  min_lr: 0.002\n',
    'c.yaml line 2: training.min_lr 0.002 is above training.lr 0.001; the learning rate falls from lr to min_lr.\n' +
      '  Use a min_lr from 0 to 0.001.',
  ],
  [
    'reports all mistakes at once',
    'model:\n  n_layer: 0\n  foo: 1\nseed: 3\n',
    '3 mistakes in the configuration.\n' +
      '  c.yaml line 2: model.n_layer is 0; expected a whole number from 1 to 128. The default is 4.\n' +
      '  c.yaml line 3: unknown key model.foo. Known here: n_layer, n_head, n_embd, seq_len, dropout.\n' +
      '  c.yaml line 4: unknown key seed. "seed" belongs to the section "training": did you mean training.seed?',
  ],
];

for (const [what, text, message] of cases) {
  test(`config: ${what}`, () => assert.equal(messageFor(text), message));
}

test('config: a mistake on the command line is blamed on the flag', () => {
  assert.equal(
    messageFor('', { flags: { threads: 'many' } }),
    '--threads: training.threads is the text "many"; expected auto or a whole number from 1 to 256.\n  The default is auto.',
  );
  assert.equal(
    messageFor('training:\n  micro_batch: 4\n', { sets: ['training.batch_size=6'] }).split('\n')[0],
    '--set training.batch_size=6: training.batch_size 6 cannot be split evenly into micro-batches of 4 (training.micro_batch).',
  );
  assert.equal(
    messageFor('', { sets: ['training.lrr=3'] }),
    '--set training.lrr=3: unknown key training.lrr.\n  Did you mean training.lr?',
  );
  assert.equal(
    messageFor('', { sets: ['training.lr'] }),
    '--set training.lr: the value is missing.\n  Write --set section.key=value, e.g. --set training.lr=1e-3.',
  );
  assert.equal(
    messageFor('', { sets: ['data=4'] }),
    '--set data=4: data is a section.\n' +
      '  Name one of its keys (train_path, val_path, format, shuffle), e.g. --set data.train_path=...',
  );
  assert.equal(
    messageFor('training:\n  lr: 1\n', { sets: ['training.lr='] }),
    '--set training.lr=: training.lr is the text ""; expected a number above 0.\n  The default is 0.001.',
  );
});

test('config: of very many mistakes, ten are shown and the rest counted', () => {
  const text = Array.from({ length: 50_000 }, (_, i) => `key${i}: 1\n`).join('');
  const lines = messageFor(text).split('\n');
  assert.equal(lines[0], '50000 mistakes in the configuration.');
  assert.equal(lines.length, 12);
  assert.equal(lines[11], '  ... and 49990 more.');
});

test('config: a checkpoint with a wrong value is refused under its own name', () => {
  assert.equal(
    messageOf(() => configFromObject({ model: { n_layer: 'x' } }, 'last/config.json')),
    'last/config.json: model.n_layer is the text "x"; expected a whole number from 1 to 128.\n  The default is 4.',
  );
  assert.equal(
    messageOf(() => configFromObject([], 'last/config.json')),
    'last/config.json: expected an object with the sections of a configuration, got a list.\n  The file is damaged, or not ours.',
  );
});
