// `gpt-loom tune` from end to end on a small model, and what it keeps. How fast this machine is, and whether it is quiet
// enough, isn't known here: the tests check what must hold either way.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, lstatSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadAddon } from '../../../src/addon/addon.js';
import { workerCount } from '../../../src/commands/train/prepare.js';
import { writeChoice } from '../../../src/commands/tune/write.js';
import { selectEngine } from '../../../src/engine/select.js';
import { countCores, physicalCores } from '../../../src/machine/cores.js';
import { saveTuneResult, thisMachineWith } from '../../../src/tune/stored.js';
import { runCli } from '../../helpers/cli.js';
import { temporaryFolder, testInputs } from '../../helpers/run.js';

const CONFIG = [
  '# a small model',
  'model: { n_layer: 1, n_head: 2, n_embd: 32, seq_len: 48 }',
  'training:',
  '  batch_size: 4   # few',
  '  micro_batch: 2',
  '  threads: 1      # to begin with',
  'data: { train_path: data.jsonl, val_path: data.jsonl }',
  'tokenizer: { path: tokenizer.json }',
  '',
].join('\n');

function project(): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'tokenizer.json'), testInputs(folder).tokenizerJson);
  writeFileSync(join(folder, 'config.yaml'), CONFIG);
  return folder;
}

interface Json {
  readonly cores: { readonly logical: number };
  readonly measurements: readonly {
    threads: number;
    microBatch: number;
    rounds: number;
    tokensPerSec: number | null;
  }[];
  readonly recommendation: { threads: number; microBatch: number; tokensPerSec: number; isCertain: boolean };
  readonly precision: string;
  readonly otherPrecision: {
    precision: string;
    isEmulated: boolean;
    threads: number;
    microBatch: number;
    rounds: number;
    tokensPerSec: number;
    presentTokensPerSec: number;
    timesAsFast: number;
  } | null;
  readonly written: string | null;
}

const hasBf16 = loadAddon()!.isaVariants()[0] === 'avx512bf16';

test('tune: measures, draws, and writes exactly if it is certain', async () => {
  const folder = project();
  const cache = join(folder, 'cache');
  const { exitCode, stdout, stderr } = await runCli(
    ['tune', '--budget', '2s', '--json', '--write', '--plot', 'tune.svg'],
    { cwd: folder, env: { XDG_CACHE_HOME: cache } },
  );
  assert.equal(stderr, '');
  const { cores, measurements, recommendation, precision, otherPrecision, written } = JSON.parse(stdout) as Json;
  assert.deepEqual([precision, otherPrecision?.precision], ['fp32', hasBf16 ? 'bf16' : undefined]);
  const { threads, microBatch, isCertain } = recommendation;
  const expected = Array.from({ length: Math.min(cores.logical, 4, 8) }, (_, i) => i + 1);
  assert.deepEqual([...new Set(measurements.map((m) => m.threads))], expected);
  for (const m of measurements) assert.ok([1, 2, 4].includes(m.microBatch) && m.threads * m.microBatch <= 4);
  const best = measurements.find((m) => m.threads === threads && m.microBatch === microBatch);
  assert.equal(best?.tokensPerSec, recommendation.tokensPerSec);
  assert.ok(recommendation.tokensPerSec > 1000, String(recommendation.tokensPerSec));
  assert.match(readFileSync(join(folder, 'tune.svg'), 'utf8'), /^<svg .*<\/svg>\n$/s);

  const config = readFileSync(join(folder, 'config.yaml'), 'utf8');
  if (isCertain) {
    const edited = CONFIG.replace('threads: 1 ', `threads: ${threads} `).replace(
      'micro_batch: 2',
      `micro_batch: ${microBatch}`,
    );
    assert.deepEqual({ exitCode, written, config }, { exitCode: 0, written: 'config.yaml', config: edited });
    assert.equal(JSON.parse(readFileSync(join(cache, 'gpt-loom/measured.json'), 'utf8')).results[0].threads, threads);
  } else {
    assert.deepEqual({ exitCode, written, config }, { exitCode: 1, written: null, config: CONFIG });
    assert.ok(!existsSync(cache));
  }
});

test('tune: compares the best setting with bf16 where that is there or emulated, and never writes a precision', async () => {
  const folder = project();
  const { exitCode, stdout, stderr } = await runCli(
    ['tune', '--budget', '2s', '--json', '--write', '--plot', 'tune.svg'],
    { cwd: folder, env: { XDG_CACHE_HOME: join(folder, 'cache'), GPT_LOOM_EMULATE_BF16: '1' } },
  );
  assert.equal(stderr, '');
  const { precision, otherPrecision, recommendation } = JSON.parse(stdout) as Json;
  const { threads, microBatch } = recommendation;
  assert.deepEqual(
    [
      precision,
      otherPrecision!.precision,
      otherPrecision!.isEmulated,
      otherPrecision!.threads,
      otherPrecision!.microBatch,
    ],
    ['fp32', 'bf16', !hasBf16, threads, microBatch],
  );
  const { rounds, tokensPerSec, presentTokensPerSec, timesAsFast } = otherPrecision!;
  assert.ok(rounds >= 1 && tokensPerSec > 0 && presentTokensPerSec > 0 && timesAsFast > 0);
  if (rounds === 1) assert.ok(Math.abs(tokensPerSec / presentTokensPerSec / timesAsFast - 1) < 1e-9);
  assert.match(readFileSync(join(folder, 'tune.svg'), 'utf8'), /bf16[^<]*: \d+\.\d\d times as fast/);
  assert.ok(exitCode === 0 || exitCode === 1);
  const lines = readFileSync(join(folder, 'config.yaml'), 'utf8').split('\n');
  assert.equal(lines.length, CONFIG.split('\n').length);
  assert.ok(!lines.some((line) => line.includes('precision')));
});

test('tune: without a terminal it prints a line a round, the table and the result, and no escape codes', async () => {
  const folder = project();
  const { exitCode, stdout, stderr } = await runCli(['tune', '--budget', '2s'], { cwd: folder });
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' });
  assert.match(
    stdout,
    /^gpt-loom tune on .+\n\d+ physical of \d+ logical cores, native .+ fp32, batches of 4 samples\n/,
  );
  assert.match(stdout, /\nround {2}1 {2}0:0\d {2}\d+ settings? +best: threads \d, micro_batch \d, [\d,]+ tokens\/s\n/);
  assert.match(stdout, /\n {2}threads {2}micro_batch {2}tokens\/s {2}spread {2}vs 1 thread\n/);
  assert.match(stdout, /\n(Best|Probably best): threads: \d, micro_batch: \d \([\d,]+ tokens\/s\)\n/);
  assert.ok(!stdout.includes('\u001b'));
  assert.ok(
    stdout.split('\n').every((line) => line.length <= 80),
    stdout,
  );
});

test('tune: a budget that is none is refused before anything is measured', async () => {
  const { exitCode, stderr } = await runCli(['tune', '--budget', 'long'], { cwd: project() });
  assert.deepEqual([exitCode, stderr.split('\n')[0]], [2, 'ConfigError: --budget long is not a time to measure for.']);
});

test('tune: the choice goes into the file, whose permissions stay, and a link to it stays a link', () => {
  const folder = project();
  const path = join(folder, 'config.yaml');
  const link = join(folder, 'link.yaml');
  chmodSync(path, 0o640);
  symlinkSync(path, link);
  assert.equal(writeChoice(link, { threads: 2, microBatch: 1 }), true);
  const edited = CONFIG.replace('threads: 1 ', 'threads: 2 ').replace('micro_batch: 2', 'micro_batch: 1');
  assert.equal(readFileSync(path, 'utf8'), edited);
  assert.equal(statSync(path).mode & 0o777, 0o640);
  assert.ok(lstatSync(link).isSymbolicLink());
  assert.equal(writeChoice(link, { threads: 2, microBatch: 1 }), false);
});

test('tune: a size that does not divide the batch of the file is refused, and the file stays', () => {
  const path = join(project(), 'config.yaml');
  assert.throws(() => writeChoice(path, { threads: 2, microBatch: 8 }), {
    name: 'ConfigError',
    message: /micro_batch/,
  });
  assert.equal(readFileSync(path, 'utf8'), CONFIG);
});

test('tune: without a configuration file the choice makes one', () => {
  const path = join(temporaryFolder(), 'config.yaml');
  assert.equal(writeChoice(path, { threads: 2, microBatch: 8 }), true);
  assert.equal(readFileSync(path, 'utf8'), 'training:\n  threads: 2\n  micro_batch: 8\n');
});

test('train: threads: auto takes the stored result of this machine and engine, else the physical cores', () => {
  const previous = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = temporaryFolder();
  try {
    const selection = selectEngine('native', 'fp32');
    assert.equal(workerCount('auto', selection), physicalCores());
    const machine = thisMachineWith(selection);
    const result = { threads: 37, micro_batch: 4, tokens_per_sec: 1, measured_at: 'now' };
    saveTuneResult({ ...result, machine: { ...machine, usable_logical: countCores().usableLogical + 1 } });
    assert.equal(workerCount('auto', selection), physicalCores());
    saveTuneResult({ ...result, machine });
    assert.equal(workerCount('auto', selection), 37);
    assert.equal(workerCount(2, selection), 2);
  } finally {
    if (previous === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = previous;
  }
});
