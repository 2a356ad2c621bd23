// File + --set + flags -> Config: who wins, what the defaults are, and that the shipped file says the same.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { LEAVES } from '../../src/config/keys.js';
import { configFromObject, configToYamlObject, loadConfig } from '../../src/config/load.js';
import { parseYaml } from '../../src/config/yaml.js';
import { ConfigError } from '../../src/errors.js';
import { repoRoot } from '../helpers/paths.js';

const folder = mkdtempSync(join(tmpdir(), 'gpt-loom-config-'));
after(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function loadText(text: string) {
  return loadConfig({ configPath: write('c.yaml', text) });
}

/** Every default, by hand: what a run without a file must use. */
const DEFAULTS = {
  model: { nLayer: 4, nHead: 4, nEmbd: 256, seqLen: 128, dropout: 0 },
  training: {
    batchSize: 16,
    microBatch: 4,
    lr: 0.001,
    minLr: 0,
    warmupSteps: 100,
    maxSteps: 2000,
    weightDecay: 0.01,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    gradClip: 1,
    evalInterval: 20,
    saveInterval: 200,
    earlyStoppingPatience: 0,
    saveDir: 'checkpoints',
    seed: 42,
    threads: 'auto',
    initFrom: null,
    mergeDuplicates: true,
  },
  data: { trainPath: 'data/train.jsonl', valPath: 'data/val.jsonl', format: 'instruct', shuffle: true },
  tokenizer: { type: 'hf_tokenizers', path: 'tokenizer/tokenizer.json', vocabSize: 2048 },
  tfjs: { backend: 'auto' },
  engine: 'auto',
  precision: 'auto',
};

test('config: an empty file means the defaults', () => {
  assert.deepEqual(loadText(''), DEFAULTS);
  assert.deepEqual(loadText('model:\n  # n_layer: 4\ndata:\n'), DEFAULTS);
});

test('config: the shipped config.yaml names every key, explains it, and states the default', () => {
  const path = join(repoRoot, 'config.yaml');
  assert.deepEqual(loadConfig({ configPath: path }), DEFAULTS);
  const text = readFileSync(path, 'utf8');
  const { lines } = parseYaml(text, path);
  const source = text.split('\n');
  for (const key of LEAVES.keys()) {
    const line = lines.get(key);
    assert.ok(line !== undefined, `${key} is missing`);
    assert.match(source[line - 2], /^ *#/, `${key} has no comment above it`);
  }
});

test('config: takes files of the original program unchanged; its settings are a preset', () => {
  const preset = loadConfig({ configPath: join(repoRoot, 'src/config/presets/original.yaml') });
  const { training } = DEFAULTS;
  assert.deepEqual(preset, { ...DEFAULTS, training: { ...training, lr: 0.0003, warmupSteps: 5 } });
  const other = loadText(
    'model: {n_layer: 6, n_head: 6, n_embd: 384}\ntraining:\n  save_interval: 200\n  early_stopping_patience: 50\n',
  );
  assert.equal(other.model.nEmbd, 384);
  assert.equal(other.training.earlyStoppingPatience, 50);
});

test('config: flags win over --set, --set over the file, the last --set over the first', () => {
  const configPath = write(
    'c.yaml',
    'training:\n  lr: 0.1\n  seed: 1\n  max_steps: 10\n  save_dir: file\nengine: tfjs\n',
  );
  const config = loadConfig({
    configPath,
    sets: [
      'training.seed=2',
      'training.max_steps=20',
      'training.max_steps=30',
      'training.lr=3e-4',
      'training.warmup_steps = 2',
    ],
    flags: { maxSteps: '40', threads: '2', engine: 'native', saveDir: undefined },
  });
  const { lr, seed, maxSteps, saveDir, threads, warmupSteps } = config.training;
  assert.deepEqual(
    { lr, seed, maxSteps, saveDir, threads, warmupSteps, engine: config.engine },
    { lr: 3e-4, seed: 2, maxSteps: 40, saveDir: 'file', threads: 2, warmupSteps: 2, engine: 'native' },
  );
});

test('config: --set and flags mend what the file has wrong', () => {
  const configPath = write('c.yaml', 'training:\n  lr: fast\n');
  assert.equal(loadConfig({ configPath, sets: ['training.lr=1'] }).training.lr, 1);
});

test('config: text stays text where a key takes text', () => {
  const { training, data } = loadConfig({
    configPath: write('c.yaml', ''),
    sets: ['training.init_from=null', 'data.train_path=2024', 'data.val_path=a=b: c'],
    flags: { saveDir: 'null' },
  });
  assert.deepEqual(
    [training.initFrom, data.trainPath, data.valPath, training.saveDir],
    [null, '2024', 'a=b: c', 'null'],
  );
});

test('config: the result is frozen, sections too', () => {
  const config = loadText('');
  for (const part of [config, ...Object.values(config)]) assert.ok(Object.isFrozen(part));
});

test('config: goes through a checkpoint and back unchanged', () => {
  const config = loadText('training:\n  init_from: best\n  threads: 3\n  eps: 1e-9\nprecision: bf16\n');
  const stored = JSON.parse(JSON.stringify(configToYamlObject(config)));
  assert.equal(stored.training.init_from, 'best');
  assert.equal(stored.model.n_layer, 4);
  assert.deepEqual(configFromObject(stored, 'last/config.json'), config);
});

test('config: without --config reads ./config.yaml if there is one', () => {
  const before = process.cwd();
  const project = join(folder, 'project');
  mkdirSync(project);
  try {
    process.chdir(project);
    assert.deepEqual(loadConfig(), DEFAULTS);
    writeFileSync('config.yaml', 'training:\n  seed: 5\n');
    assert.equal(loadConfig().training.seed, 5);
  } finally {
    process.chdir(before);
  }
});

test('config: a byte order mark is no part of the first key', () => {
  assert.equal(loadText('\ufefftraining:\n  seed: 5\n').training.seed, 5);
});

test('config: a file that cannot be read is named with the reason', () => {
  const utf16 = write('utf16.yaml', Buffer.from('model:\n', 'utf16le').fill(0xff, 0, 1));
  const cases: [path: string, message: string][] = [
    [
      join(folder, 'no.yaml'),
      `There is no configuration file ${folder}/no.yaml.\n  Looked for ${folder}/no.yaml. ` +
        'Pass an existing file with --config FILE, or leave the option out to use the defaults.',
    ],
    [
      folder,
      `${folder} is a folder, not a configuration file.\n  Pass the YAML file itself, e.g. --config ${folder}/config.yaml.`,
    ],
    [utf16, `${utf16} is not UTF-8 text.\n  Save it as UTF-8 (in the editor: "Save with encoding").`],
    [
      '/dev/zero',
      `/dev/zero is larger than 1 MB, so it can't be a configuration.\n  Pass the YAML file with the settings: --config config.yaml.`,
    ],
  ];
  for (const [configPath, message] of cases) {
    assert.throws(
      () => loadConfig({ configPath }),
      (error: Error) => {
        assert.ok(error instanceof ConfigError);
        assert.equal(error.message, message);
        return true;
      },
    );
  }
});
