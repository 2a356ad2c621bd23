import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFileOps } from '../../src/checkpoint/file-ops.js';
import { flattenWeights } from '../../src/checkpoint/fit.js';
import { loadCheckpoint, loadTraining } from '../../src/checkpoint/load.js';
import { quantizeWeights } from '../../src/checkpoint/quantize.js';
import { type CheckpointContent, saveCheckpoint } from '../../src/checkpoint/save.js';
import { ensureWritable } from '../../src/checkpoint/writable.js';
import { CheckpointError } from '../../src/errors.js';
import type { NamedWeights } from '../../src/model/weights.js';
import { CONFIG, contentOf, SHAPE, TABLE, temporaryFolder } from './helpers/content.js';
import { createFaultyOps } from './helpers/faulty-ops.js';

type Json = Record<string, unknown>;

function withoutTraining({ info, tensors, tokenizerJson }: CheckpointContent): CheckpointContent {
  return { info, tensors, tokenizerJson };
}

function readJson(path: string): Json {
  return JSON.parse(readFileSync(path, 'utf8')) as Json;
}

test('checkpoint: what is loaded is what was saved, bit for bit', async (t) => {
  const path = join(await temporaryFolder(t), 'deep/er/last');
  const content = contentOf(3);
  const { bytes, writeMs } = await saveCheckpoint(path, content);
  assert.ok(writeMs > 0);
  const files = [
    'model.safetensors',
    'config.json',
    'tokenizer.json',
    'training/state.safetensors',
    'training/state.json',
  ];
  assert.equal(
    bytes,
    files.map((name) => readFileSync(join(path, name)).length).reduce((a, b) => a + b),
  );
  assert.deepEqual(readdirSync(path).sort(), ['config.json', 'model.safetensors', 'tokenizer.json', 'training']);

  const { checkpoint, state, m, v } = await loadTraining(`${path}/`);
  assert.deepEqual(checkpoint, {
    path,
    info: content.info,
    shape: SHAPE,
    isQuantized: false,
    tensors: content.tensors,
    tokenizerJson: content.tokenizerJson,
  });
  assert.deepEqual({ state, m, v }, content.training);
  assert.deepEqual(await loadCheckpoint(path), checkpoint);
});

test('checkpoint: config.json and state.json say in snake_case what the folder holds', async (t) => {
  const path = join(await temporaryFolder(t), 'last');
  await saveCheckpoint(path, contentOf(3));
  assert.deepEqual(readJson(join(path, 'config.json')), {
    format_version: 1,
    step: 3,
    train_loss: 1,
    eval_loss: null,
    vocab_size: 5,
    ...CONFIG,
  });
  const sha256 = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(path, name)))
      .digest('hex');
  assert.deepEqual(readJson(join(path, 'training/state.json')), {
    format_version: 1,
    step: 3,
    position: 48,
    seed: -7,
    best_eval_loss: 3 / 7,
    best_step: 3,
    evaluations_without_improvement: 2,
    non_finite_steps: 1,
    data_fingerprint: 'data',
    tokenizer_fingerprint: 'tokenizer',
    model_sha256: sha256('model.safetensors'),
    state_sha256: sha256('training/state.safetensors'),
  });
});

test('checkpoint: a quantized one keeps its bytes and scales, has no f32 matrix, and cannot be flattened for training', async (t) => {
  const path = join(await temporaryFolder(t), 'quantized');
  const tensors = quantizeWeights(contentOf(3).tensors, TABLE);
  await saveCheckpoint(path, { ...withoutTraining(contentOf(3)), tensors });
  const loaded = await loadCheckpoint(path);
  assert.equal(loaded.isQuantized, true);
  assert.deepEqual(new Map([...loaded.tensors].sort()), new Map([...tensors].sort()));
  assert.deepEqual(readJson(join(path, 'config.json')).quantization, { bits: 8, scheme: 'symmetric_per_row' });
  assert.throws(() => flattenWeights(loaded.tensors, TABLE, new Float32Array(TABLE.flatLength), path), {
    name: 'CheckpointError',
    message:
      `${path} is quantised (tensor "tok_emb.weight" is int8), but float32 weights are needed.\n` +
      '  Use the last or best checkpoint: training goes on from those only.',
  });
  const [tensor] = TABLE.parameters.filter(({ isMatrix }) => isMatrix).slice(-1);
  const mixed = new Map([...tensors, [tensor.name, contentOf(3).tensors.get(tensor.name)!]]);
  const mixedPath = join(await temporaryFolder(t), 'quantized');
  await saveCheckpoint(mixedPath, { ...withoutTraining(contentOf(3)), tensors: mixed });
  await assert.rejects(loadCheckpoint(mixedPath), {
    name: 'CheckpointError',
    message: /tensor blocks\.\d+\.mlp\.fc2\.weight is f32, but .*config\.json says that all matrices are int8/,
  });
  await assert.rejects(loadTraining(path), {
    name: 'CheckpointError',
    message:
      `${path} has weights but no training state (training/state.json), so training can't go on exactly where it stopped.\n` +
      `  Resume from the last checkpoint, or start anew from these weights: training.init_from: ${path}.`,
  });
});

test('checkpoint save: refuses NaN and infinity wherever they are, and keeps the previous checkpoint', async (t) => {
  const saveDir = await temporaryFolder(t);
  const path = join(saveDir, 'last');
  await saveCheckpoint(path, contentOf(1));
  const spoil = (tensors: NamedWeights, name: string, value: number) => {
    tensors.get(name)!.data[2] = value;
  };
  const cases: [string, (content: CheckpointContent) => void, RegExp][] = [
    [
      'weights',
      ({ tensors }) => spoil(tensors, 'norm.weight', Number.NaN),
      /Tensor norm\.weight holds NaN at element 2/,
    ],
    [
      'm',
      ({ training }) => spoil(training!.m, 'norm.weight', -Infinity),
      /Tensor m\.norm\.weight holds -Infinity at element 2/,
    ],
    ['v', ({ training }) => spoil(training!.v, 'tok_emb.weight', Infinity), /Tensor v\.tok_emb\.weight holds Infinity/],
    ['loss', ({ info }) => Object.assign(info, { trainLoss: Number.NaN }), /"train_loss" of config\.json is NaN/],
    [
      'best',
      ({ training }) => Object.assign(training!.state, { bestEvalLoss: Infinity }),
      /"best_eval_loss" of training\/state\.json is Infinity/,
    ],
  ];
  for (const [where, change, message] of cases) {
    const content = structuredClone(contentOf(2));
    change(content);
    await assert.rejects(saveCheckpoint(path, content), { name: 'NonFiniteError', exitCode: 3, message }, where);
    assert.deepEqual(readdirSync(saveDir), ['last'], where);
    assert.equal((await loadTraining(path)).state.step, 1, where);
  }
});

test('checkpoint save: refuses what could not be loaded again', async (t) => {
  const path = join(await temporaryFolder(t), 'last');
  const content = contentOf(1);
  const tensors = new Map(content.tensors);
  tensors.delete('norm.weight');
  await assert.rejects(saveCheckpoint(path, { ...content, tensors }), {
    name: 'CheckpointError',
    message:
      "What is to be saved doesn't fit the model: tensor norm.weight is missing, expected [4].\n" +
      '  Model and checkpoint must agree in n_layer, n_embd and the size of the vocabulary.',
  });
});

test('checkpoint load: every field of the training state is needed and checked', async (t) => {
  const saveDir = await temporaryFolder(t);
  const path = join(saveDir, 'last');
  await saveCheckpoint(path, contentOf(3));
  const file = join(path, 'training/state.json');
  const state = readJson(file);
  for (const key of Object.keys(state)) {
    const { [key]: _, ...rest } = state;
    writeFileSync(file, JSON.stringify(rest));
    await assert.rejects(loadTraining(path), {
      name: 'CheckpointError',
      message: new RegExp(`: "${key}" is missing\\.\n`),
    });
    writeFileSync(file, JSON.stringify({ ...state, [key]: [] }));
    await assert.rejects(loadTraining(path), {
      name: 'CheckpointError',
      message: new RegExp(`"${key}" is \\[\\], expected`),
    });
  }
  for (const [key, value, message] of [
    ['step', 4, /"step" is 4, but .*config\.json says 3/],
    ['step', 2 ** 53, /"step" is 9007199254740992, expected an integer from 0 up/],
    ['best_step', null, /of "best_eval_loss" and "best_step" only one is null/],
    ['format_version', 2, /has format version 2, but this program reads version 1/],
  ] as const) {
    writeFileSync(file, JSON.stringify({ ...state, [key]: value }));
    await assert.rejects(loadTraining(path), { name: 'CheckpointError', message });
  }
});

test('checkpoint load: weights, moments and state of different saves are told apart', async (t) => {
  const saveDir = await temporaryFolder(t);
  const [one, two, mixed] = ['one', 'two', 'mixed'].map((name) => join(saveDir, name));
  await saveCheckpoint(one, contentOf(1));
  await saveCheckpoint(two, contentOf(2));
  for (const name of ['model.safetensors', 'training/state.safetensors', 'training/state.json']) {
    cpSync(one, mixed, { recursive: true });
    cpSync(join(two, name), join(mixed, name));
    await assert.rejects(loadTraining(mixed), { name: 'CheckpointError', message: /don't belong together: SHA-256/ });
  }
});

test('checkpoint load: a negative second moment is refused', async (t) => {
  const path = join(await temporaryFolder(t), 'last');
  const content = structuredClone(contentOf(1));
  content.training!.v.get('norm.weight')!.data[1] = -1;
  await saveCheckpoint(path, content);
  await assert.rejects(loadTraining(path), /second moment v\.norm\.weight is -1 at element 1, expected 0 or more/);
});

test('checkpoint load: settings that no model can have are refused before anything is allocated', async (t) => {
  const path = join(await temporaryFolder(t), 'last');
  await saveCheckpoint(path, contentOf(1));
  const file = join(path, 'config.json');
  const config = readJson(file);
  const cases: [Json, RegExp][] = [
    [{ vocab_size: 2 ** 40 }, /tensor tok_emb\.weight has shape \[5, 4\], expected \[1099511627776, 4\]/],
    [{ vocab_size: '5' }, /"vocab_size" is "5", expected an integer from 1 up/],
    [{ model: { ...CONFIG.model, n_layer: 1e9 } }, /"n_layer" is 1000000000, more than 499/],
    [{ model: { ...CONFIG.model, n_head: 4 } }, /"n_embd" is 4, which 4 heads can't share in even parts/],
    [{ model: { ...CONFIG.model, seq_len: 1e12 } }, /"seq_len" is 1000000000000, more than 65536/],
    [{ model: [] }, /"model" is \[\], expected an object/],
    [
      { quantization: { bits: 4, scheme: 'x\u009b' } },
      /quantization is 4 bits "x\?", expected 8 bits "symmetric_per_row"/,
    ],
    [
      { quantization: { bits: 8, scheme: 'symmetric_per_row' } },
      /tensor tok_emb\.weight is f32, but .*config\.json says that all matrices are int8/,
    ],
  ];
  for (const [change, message] of cases) {
    writeFileSync(file, JSON.stringify({ ...config, ...change }));
    await assert.rejects(loadCheckpoint(path), { name: 'CheckpointError', message });
  }
});

test('checkpoint load: missing, oversized and irregular files are refused, and none makes it wait', async (t) => {
  const saveDir = await temporaryFolder(t);
  const [good, path] = [join(saveDir, 'good'), join(saveDir, 'last')];
  await saveCheckpoint(good, contentOf(1));
  const replaced: [string, (file: string) => void, RegExp][] = [
    ['config.json', () => undefined, /config\.json is damaged .*: the file is missing/],
    [
      'config.json',
      (file) => writeFileSync(file, Buffer.alloc(2 ** 20 + 1)),
      /it has 1048577 bytes, more than 1048576/,
    ],
    ['config.json', (file) => writeFileSync(file, '{"a": "\xff'), /it is not JSON/],
    ['config.json', (file) => writeFileSync(file, Buffer.of(0x7b, 0xff, 0x7d)), /it is not UTF-8/],
    ['config.json', (file) => writeFileSync(file, '[1, null, "x"]'), /an object {…} was expected, a list of 3 found/],
    ['tokenizer.json', (file) => execFileSync('mkfifo', [file]), /tokenizer\.json .*: it is not a regular file/],
    ['tokenizer.json', (file) => mkdirSync(file), /it is not a regular file/],
    ['model.safetensors', (file) => symlinkSync('/dev/zero', file), /it is not a regular file/],
    ['training/state.json', (file) => symlinkSync('/dev/zero', file), /it is not a regular file/],
    ['training/state.safetensors', () => undefined, /state\.safetensors .*: the file is missing/],
  ];
  for (const [name, replace, message] of replaced) {
    rmSync(path, { recursive: true, force: true });
    cpSync(good, path, { recursive: true });
    rmSync(join(path, name));
    replace(join(path, name));
    await assert.rejects(loadTraining(path), { name: 'CheckpointError', message });
  }
});

test('checkpoint save directory: of one that can’t be written the error names the key and the flag', async (t) => {
  const folder = await temporaryFolder(t);
  const made: string[] = [];
  const ops = createFileOps();
  const create = (path: string) => {
    made.push(path);
    return ops.create(path);
  };
  await ensureWritable(join(folder, 'a/b'), { ...ops, create });
  assert.deepEqual(readdirSync(join(folder, 'a/b')), []);
  // Its trial file, as one that was killed meanwhile leaves it.
  const dead = spawnSync(process.execPath, ['--version']).pid;
  writeFileSync(made[0].replace(`-${process.pid}-`, `-${dead}-`), '');
  assert.equal(readdirSync(join(folder, 'a/b')).length, 1);
  await ensureWritable(join(folder, 'a/b'));
  assert.deepEqual(readdirSync(join(folder, 'a/b')), []);

  writeFileSync(join(folder, 'file'), '');
  await assert.rejects(ensureWritable(join(folder, 'file')), {
    name: 'ConfigError',
    exitCode: 2,
    message:
      `The save directory "${join(folder, 'file')}" can't be written: EEXIST: file already exists, mkdir '${join(folder, 'file')}'.\n` +
      '  Checkpoints and metrics go there. Choose another: training.save_dir in config.yaml, or --save-dir.',
  });
  await assert.rejects(ensureWritable(folder, createFaultyOps('ENOSPC', 1, true).ops), {
    name: 'FileError',
    exitCode: 74,
    message: /ENOSPC/,
  });
});

test('checkpoint save: never replaces what no save put there', async (t) => {
  const folder = await temporaryFolder(t);
  mkdirSync(join(folder, 'last'));
  writeFileSync(join(folder, 'last/thesis.txt'), 'years of work');
  const message =
    `"${join(folder, 'last')}" is a folder with 1 other things in it, not a checkpoint, and a save would replace it.\n` +
    '  Move it away, or choose another folder: training.save_dir in config.yaml, or --save-dir.';
  await assert.rejects(ensureWritable(folder), { name: 'ConfigError', message });
  await assert.rejects(saveCheckpoint(join(folder, 'last'), contentOf(1)), { name: 'CheckpointError', message });
  assert.equal(readFileSync(join(folder, 'last/thesis.txt'), 'utf8'), 'years of work');
});

test('checkpoint load: 300 damaged folders are loaded or refused with a typed error, each in under a second of CPU time', async (t) => {
  const saveDir = await temporaryFolder(t);
  const [good, path] = [join(saveDir, 'good'), join(saveDir, 'last')];
  await saveCheckpoint(good, contentOf(1));
  const file = fc.constantFrom('config.json', 'model.safetensors', 'training/state.json', 'training/state.safetensors');
  const edit = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), byte: fc.nat(255), cuts: fc.boolean() });
  let refused = 0;
  cpSync(good, path, { recursive: true });
  await fc.assert(
    fc.asyncProperty(file, fc.array(edit, { minLength: 1, maxLength: 3 }), async (name, edits) => {
      const original = readFileSync(join(good, name));
      let bytes = Buffer.from(original);
      for (const { at, byte, cuts } of edits) {
        const position = Math.floor(at * bytes.length);
        if (cuts) bytes = bytes.subarray(0, position);
        else if (position < bytes.length) bytes[position] = byte;
      }
      writeFileSync(join(path, name), bytes);
      const before = process.cpuUsage();
      try {
        await loadTraining(path);
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        refused++;
      }
      const { user, system } = process.cpuUsage(before);
      assert.ok(user + system < 1e6); // Microseconds; unlike the clock, deaf to what else the machine does.
      writeFileSync(join(path, name), original);
    }),
    { numRuns: 300, seed: 6 },
  );
  assert.ok(refused > 250, `only ${refused} were refused`);
});
