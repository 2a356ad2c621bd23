// doctor: what it prints for given findings, and that it tells a machine that can train from one that can't.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { conclude } from '../../src/commands/doctor/examine.js';
import type { Finding } from '../../src/commands/doctor/finding.js';
import { formatExamination } from '../../src/commands/doctor.js';
import { runCli, writeProject } from '../helpers/cli.js';

const folder = mkdtempSync(join(tmpdir(), 'gpt-loom-doctor-'));
before(() => writeProject(folder));
after(() => rmSync(folder, { recursive: true }));

const findings: Finding[] = [
  { name: 'engine', status: 'ok', detail: 'native (AVX2), fp32', fix: 'not shown', isNeeded: true },
  { name: 'tfjs-node', status: 'missing', detail: 'not installed', fix: 'First line.\nSecond line.', isNeeded: false },
];

test('doctor: lines up the findings, with what to do below those that are not ok', () => {
  const conclusion = 'Training is possible.';
  assert.equal(
    formatExamination({ findings, trainingPossible: true, conclusion }),
    [
      'ok       engine     native (AVX2), fp32',
      'missing  tfjs-node  not installed',
      '                    First line.',
      '                    Second line.',
      '',
      'Training is possible.',
      '',
    ].join('\n'),
  );
});

test('doctor: training is possible when only what it can do without is missing', () => {
  const { trainingPossible, conclusion } = conclude(findings);
  assert.equal(trainingPossible, true);
  assert.match(conclusion, /^Training is possible: engine native \(AVX2\), fp32, \d+ cores?\.$/);
  const data: Finding = { name: 'training data', status: 'missing', detail: 'x', isNeeded: true };
  assert.deepEqual(conclude([...findings, data]), {
    trainingPossible: false,
    conclusion: 'Training is not possible yet; see training data.',
  });
});

const options = ['--set', 'data.train_path=rows.jsonl', '--set', 'data.val_path=rows.jsonl'];

test('doctor: looks at tokenizer and data, and makes nothing', async () => {
  const args = ['doctor', '--json', ...options, '--set', 'tokenizer.path=tokenizer.json', '--save-dir', 'new'];
  const { stdout, stderr } = await runCli(args, { cwd: folder });
  const details = new Map(JSON.parse(stdout).findings.map(({ name, detail }: Finding) => [name, detail]));
  // 256 bytes, 4 special tokens and what one row gives.
  assert.match(String(details.get('tokenizer')), /^tokenizer\.json: \d{3} tokens$/);
  assert.equal(details.get('training data'), 'rows.jsonl: 1 row');
  assert.equal(details.get('save folder'), 'new can be written');
  assert.equal(existsSync(join(folder, 'new')), false);
  assert.equal(stderr, '');
});

test('doctor: ends with 1 and names the file when the tokenizer is missing', async () => {
  const { exitCode, stdout } = await runCli(['doctor', '--json', ...options], { cwd: folder });
  const { findings: found, trainingPossible } = JSON.parse(stdout);
  const finding = found.find(({ name }: Finding) => name === 'tokenizer');
  assert.equal(finding.status, 'missing');
  assert.match(finding.detail, /tokenizer\/tokenizer\.json/);
  assert.equal(finding.fix, 'Build it: gpt-loom tokenizer build');
  assert.equal(trainingPossible, false);
  assert.equal(exitCode, 1);
});

test('doctor: reports a broken configuration instead of failing', async () => {
  const { exitCode, stdout } = await runCli(['doctor', '--threads', 'x'], { cwd: folder });
  assert.match(stdout, /^problem {2}configuration +--threads: training\.threads is the text "x"/m);
  assert.match(stdout, /\nTraining is not possible yet; see configuration\.\n$/);
  assert.equal(exitCode, 1);
});
