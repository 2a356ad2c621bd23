// `gpt-loom bench` from end to end on a small model. How fast this machine is isn't known here: the tests check what must hold
// on any.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadAddon } from '../../../src/addon/addon.js';
import type { BenchReport } from '../../../src/bench/report.js';
import { countCores, physicalCores } from '../../../src/machine/cores.js';
import { cpuModel } from '../../../src/machine/cpu.js';
import type { StartEvent } from '../../../src/trainer/events.js';
import { cliPath, runCli } from '../../helpers/cli.js';
import { temporaryFolder, testInputs } from '../../helpers/run.js';

const hasBf16 = loadAddon()!.isaVariants()[0] === 'avx512bf16';

const CONFIG = [
  'model: { n_layer: 1, n_head: 2, n_embd: 32, seq_len: 48 }',
  'training: { batch_size: 4, micro_batch: 2, threads: 2, max_steps: 1, warmup_steps: 0 }',
  'data: { train_path: data.jsonl, val_path: data.jsonl }',
  'tokenizer: { path: tokenizer.json }',
  '',
].join('\n');

/** Its data has one row twice. */
function project(): { folder: string; env: Record<string, string>; kept: string } {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'tokenizer.json'), testInputs(folder).tokenizerJson);
  writeFileSync(join(folder, 'config.yaml'), CONFIG);
  const cache = join(folder, 'cache');
  return { folder, env: { XDG_CACHE_HOME: cache }, kept: join(cache, 'gpt-loom/measured.json') };
}

test('bench: --quick --json gives every part, and keeps the peak that train then shows its share of', async () => {
  const { folder, env, kept } = project();
  const args = ['bench', '--quick', '--json', '--rows', '30', '--threads', '3'];
  const { exitCode, stdout, stderr } = await runCli(args, {
    cwd: folder,
    env,
  });
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' });
  assert.equal(stdout.indexOf('\n'), stdout.length - 1);
  const report = JSON.parse(stdout) as BenchReport;

  const cores = countCores();
  assert.equal(report.format, 2);
  assert.ok(Math.abs(Date.now() - Date.parse(report.date)) < 600_000, report.date);
  assert.equal(report.machine.cpu, cpuModel());
  assert.equal(report.machine.node, process.version);
  assert.equal(report.machine.physicalCores, cores.usablePhysical);
  assert.deepEqual([report.isQuick, report.engine.name, report.model.nEmbd], [true, 'native', 32]);
  const precisions = hasBf16 ? ['fp32', 'bf16'] : ['fp32'];
  assert.deepEqual(
    report.engine.precisions,
    precisions.map((precision) => ({ precision, isEmulated: false })),
  );

  const { fp32 } = report.peaks;
  assert.ok(fp32 !== null && fp32.oneThread > 0.2 && fp32.threads === 3);
  assert.equal(report.peaks.bf16 !== null, hasBf16);
  assert.ok(report.memory !== null && report.memory.read.oneThread > 0.05 && report.memory.triad.allThreads > 0.05);

  const { kernels } = report;
  assert.equal(kernels?.rows, 30);
  const { matrices } = kernels!.products[0];
  assert.deepEqual(
    matrices.map(({ name, outputs, inputs }) => `${name}: ${outputs} x ${inputs}`),
    ['q, proj: 32 x 32', 'k and v: 64 x 32', 'fc1: 128 x 32', 'fc2: 32 x 128', `head: ${report.model.vocabSize} x 32`],
  );
  for (const { forward, dX, dW } of matrices) {
    for (const { gflops, share } of [forward, dX, dW].flatMap(({ alone, withPacking }) => [alone, withPacking])) {
      assert.ok(gflops > 0 && Math.abs(share! * fp32.oneThread - gflops) < 1e-6 * gflops);
      // No product does more than the registers can; but the peak may have been measured at a busier moment.
      assert.ok(share! < 4, `${share} of peak`);
    }
  }
  assert.equal(kernels?.others.length, 6 + precisions.length);

  assert.deepEqual(
    report.steps.map(({ precision, workers, mergeDuplicates }) => `${precision} ${workers} ${mergeDuplicates}`),
    precisions.flatMap((precision) =>
      ['1 true', '2 true', '3 true', '1 false', '2 false', '3 false'].map((setting) => `${precision} ${setting}`),
    ),
  );
  const fp32Steps = report.steps.filter(({ precision }) => precision === 'fp32');
  for (const { workers, gflops, share, speedUp, medianMs, tokensPerSec } of fp32Steps) {
    assert.ok(medianMs > 0 && tokensPerSec > 0);
    if (workers === 1) assert.equal(speedUp, 1);
    const peak = fp32.oneThread * Math.min(workers, physicalCores());
    assert.ok(Math.abs(share! - gflops / peak) < 1e-9);
  }
  assert.deepEqual(
    report.inference.map(({ weights }) => weights),
    ['fp32', 'int8'],
  );
  assert.ok(report.firstTokenMs > 10 && report.firstTokenMs < 60_000);

  const [peak] = JSON.parse(readFileSync(kept, 'utf8')).peaks;
  assert.equal(peak.isa, loadAddon()!.isaVariants()[0]);
  assert.equal(peak.fp32_gflops, fp32.oneThread);
  const training = await runCli(['train', '--json', '--no-acceptance', '--threads', '1'], { cwd: folder, env });
  const start = JSON.parse(training.stdout.split('\n')[0]) as StartEvent;
  assert.deepEqual([start.type, start.peakGflops], ['start', fp32.oneThread]);
});

test('bench: bf16 alone, emulated where it must be, has products and steps and no peak of what the CPU lacks', async () => {
  const { folder, env } = project();
  const args = ['bench', '--quick', '--json', '--threads', '1', '--precision', 'bf16'];
  const refused = await runCli(args, { cwd: folder, env });
  assert.equal(refused.exitCode, hasBf16 ? 0 : 2, refused.stderr);
  const emulating = { ...env, GPT_LOOM_EMULATE_BF16: '1' };
  const { exitCode, stdout, stderr } = await runCli(args, { cwd: folder, env: emulating });
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' });
  const { engine, peaks, kernels, steps } = JSON.parse(stdout) as BenchReport;
  const use = { precision: 'bf16', isEmulated: !hasBf16 };
  assert.deepEqual(engine.precisions, [use]);
  const [set, ...others] = kernels!.products;
  assert.deepEqual([set.precision, set.isEmulated, others.length], ['bf16', !hasBf16, 0]);
  assert.ok(set.all.alone.gflops > set.all.withPacking.gflops * 0.5 && set.all.withPacking.gflops > 0);
  assert.deepEqual([set.all.alone.share !== null, peaks.bf16 !== null], [hasBf16, hasBf16]);
  assert.ok(peaks.fp32 !== null);
  assert.equal(kernels!.others.at(-1)!.name, 'packing the weights, BF16');
  assert.deepEqual(
    steps.map(({ precision, isEmulated, workers }) => ({ precision, isEmulated, workers })),
    [1, 1].map((workers) => ({ ...use, workers })),
  );
  for (const { share } of steps) assert.equal(share !== null, hasBf16);

  const train = ['train', '--json', '--no-acceptance', '--threads', '1', '--precision', 'bf16'];
  const training = await runCli(train, { cwd: folder, env: emulating });
  const start = JSON.parse(training.stdout.split('\n')[0]) as StartEvent;
  assert.deepEqual([start.engine.precision, start.peakGflops], ['bf16', peaks.bf16?.oneThread ?? null]);
});

test('bench: --sequence joins rows to samples of that length', async () => {
  const { folder, env } = project();
  const args = ['bench', '--quick', '--json', '--threads', '1', '--precision', 'fp32', '--sequence', '40'];
  const { exitCode, stdout, stderr } = await runCli(args, { cwd: folder, env });
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' });
  const { kernels, steps } = JSON.parse(stdout) as BenchReport;
  assert.ok(kernels!.rows >= 2 * 40 && kernels!.rows <= 2 * 48, `a micro-batch of two: ${kernels!.rows} tokens`);
  assert.deepEqual(
    steps.map(({ mergeDuplicates }) => mergeDuplicates),
    [false],
  );
});

test('bench: without a terminal it prints tables without escape codes', async () => {
  const { folder, env } = project();
  const { exitCode, stdout, stderr } = await runCli(['bench', '--quick', '--threads', '1'], { cwd: folder, env });
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' });
  assert.match(stdout, /^gpt-loom bench --quick, \d{4}-\d\d-\d\d \d\d:\d\d UTC\nmachine {2}.+\nsystem {3}.+ Node v/);
  for (const title of [
    'at most ',
    'at [0-9]+ tokens ',
    'other kernels, 1 thread',
    'merged ',
    'not merged ',
    'answers, ',
  ]) {
    assert.match(stdout, new RegExp(`^${title}`, 'm'));
  }
  assert.ok(!stdout.includes('\u001b'));
});

test('bench: Ctrl-C ends it with 130, without figures and without a trace', async () => {
  const { folder, env, kept } = project();
  // Sends itself the signal soon after it has begun to listen for it: from outside one would have to guess when that is.
  // The processes that it starts must not do the same.
  const preload = `process.on('newListener', (name) => {
    if (name === 'SIGINT' && process.argv.includes('bench')) setTimeout(() => process.kill(process.pid, 'SIGINT'), 300);
  });`;
  const child = spawn(process.execPath, [cliPath, 'bench'], {
    cwd: folder,
    env: { ...process.env, ...env, NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(preload)}` },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const [exitCode] = await once(child, 'close');
  assert.deepEqual({ exitCode, output }, { exitCode: 130, output: '' });
  assert.ok(!existsSync(kept));
});

test('bench: rows that are none are refused before anything is measured', async () => {
  const { folder, env } = project();
  const { exitCode, stdout, stderr } = await runCli(['bench', '--rows', 'many'], { cwd: folder, env });
  assert.deepEqual({ exitCode, stdout }, { exitCode: 2, stdout: '' });
  assert.match(stderr, /^ConfigError: --rows many is not a number of tokens\.\n {2}Expected a whole number/);
});
