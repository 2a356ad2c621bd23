// Whole runs with the tfjs engine: several workers, against the native engine, and where the native engine is missing.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Examination } from '../../src/commands/doctor/examine.js';
import { prepareEngine, selectEngine } from '../../src/engine/select.js';
import type { StepEvent, TrainEvent } from '../../src/trainer/events.js';
import { writeProject } from '../helpers/cli.js';
import { runToEnd, temporaryFolder, testInputs } from '../helpers/run.js';
import { createInstallation } from './installation.js';

const losses = (events: TrainEvent[]) =>
  events.filter((event): event is StepEvent => event.type === 'step').map(({ loss }) => loss);

/** A run of 12 steps over 4 micro-batches, from step 5 on with other workers, and the SHA-256 of its weights and moments. */
async function run(engine: 'native' | 'tfjs', workers: number, workersLater = workers) {
  const selection = selectEngine(engine, 'fp32', 'wasm');
  await prepareEngine(selection);
  const folder = temporaryFolder();
  const inputs = testInputs(folder, { workers, training: { max_steps: 12, eval_interval: 12 } });
  const events = await runToEnd({ ...inputs, selection }, (event, { control }) => {
    if (event.type === 'step' && event.step === 5) control.setWorkers(workersLater);
  });
  const hash = createHash('sha256');
  for (const file of ['model.safetensors', 'training/state.safetensors']) {
    hash.update(readFileSync(join(folder, 'last', file)));
  }
  return { losses: losses(events), events, sha: hash.digest('hex') };
}

test('tfjs: 1 worker and 2, then 3, give the same bits, and follow the native engine’s loss within 1e-3 at every step', async () => {
  const one = await run('tfjs', 1);
  const several = await run('tfjs', 2, 3);
  assert.equal(several.sha, one.sha);
  assert.deepEqual(several.losses, one.losses);
  const native = await run('native', 2);
  assert.notEqual(native.sha, one.sha);
  assert.equal(one.losses.length, 12);
  one.losses.forEach((loss, i) => {
    assert.ok(Math.abs(loss - native.losses[i]) < 1e-3, `step ${i + 1}: ${loss}, native ${native.losses[i]}`);
  });
  const evaluation = (events: TrainEvent[]) => events.find((event) => event.type === 'evaluation')!.evalLoss;
  assert.ok(Math.abs(evaluation(one.events) - evaluation(native.events)) < 1e-3);
});

const SMALL = ['n_layer=1', 'n_head=1', 'n_embd=16', 'seq_len=32'].flatMap((setting) => ['--set', `model.${setting}`]);
const PROJECT = [
  ...['batch_size=2', 'micro_batch=1', 'warmup_steps=2'].flatMap((setting) => ['--set', `training.${setting}`]),
  ...['data.train_path=rows.jsonl', 'data.val_path=rows.jsonl', 'tokenizer.path=tokenizer.json'].flatMap((setting) => [
    '--set',
    setting,
  ]),
];

test('tfjs: doctor shows which backends there are, why not the others, and that training is possible without the addon', async () => {
  const { folder, path } = createInstallation({ without: ['tfjs-backend-wasm'] });
  await writeProject(folder);
  const args = [path('src/cli.js'), 'doctor', '--json', ...PROJECT];
  const { stdout, status } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  const { findings, trainingPossible } = JSON.parse(stdout) as Examination;
  const rows = findings.filter(({ name }) => /^(tfjs|engine)/.test(name));
  assert.deepEqual(
    rows.map(({ name, status, detail, isNeeded }) => [name, status, detail, isNeeded]),
    [
      ['tfjs tensorflow', 'missing', '@tensorflow/tfjs-node is not installed', false],
      ['tfjs wasm', 'missing', '@tensorflow/tfjs-backend-wasm is not installed', false],
      ['tfjs cpu', 'ok', '@tensorflow/tfjs 4.22.0', false],
      ['engine', 'ok', 'tfjs (plain JavaScript), fp32', true],
    ],
  );
  assert.equal(trainingPossible, true);
  assert.equal(status, 0);
});

test('tfjs: where the native addon is missing, train and infer work and say what they use and how to get the faster engine', async () => {
  const { folder, path } = createInstallation();
  await writeProject(folder);
  const gptLoom = (...args: string[]) =>
    spawnSync(process.execPath, [path('src/cli.js'), ...args], { cwd: folder, encoding: 'utf8', input: '' });
  const notice = new RegExp(
    "engine: tfjs \\(WebAssembly\\) instead of the native engine, which can't be loaded: .*gpt_loom\\.node isn't there\\. " +
      'To get it, which is several times faster: install a C compiler \\(gcc or clang\\) and run npm run setup\\.',
  );

  const trained = gptLoom('train', '--json', '--threads', '1', '--max-steps', '20', ...SMALL, ...PROJECT);
  assert.equal(trained.status, 0, trained.stderr);
  const events = trained.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(events.find(({ type }) => type === 'start').engine, {
    name: 'tfjs',
    detail: 'WebAssembly',
    precision: 'fp32',
  });
  assert.deepEqual(
    events.filter(({ type }) => type === 'notice').map(({ level, message }) => [level, notice.test(message)]),
    [['warning', true]],
  );
  const found = losses(events);
  assert.equal(found.length, 20);
  assert.ok(found[19] < found[0]);

  const answered = gptLoom('infer', '--ckpt', 'quantized', '--prompt', '什么是词元？', '--max_new_tokens', '3');
  assert.equal(answered.status, 0, answered.stderr);
  assert.match(answered.stderr, notice);

  const refused = gptLoom('train', '--engine', 'native', ...PROJECT);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /^EngineError: engine: native can't be loaded: .*\n.*C compiler[\s\S]*--engine tfjs/);
});
