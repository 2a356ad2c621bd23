// The command as a user runs it, on checkpoints whose logits are known: after every token of question or answer they are
// sqrt(8) for 好 and twice that for the end (the normalised embedding times both embeddings), and 0 for the other 260 tokens; after
// any other token, whose embedding is 0, all 262 are 0. So the figures in the report can be had with pencil and paper.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runCli } from '../helpers/cli.js';
import { saveTinyCheckpoint } from './tiny-checkpoint.js';

const folder = mkdtempSync(join(tmpdir(), 'gpt-loom-eval-'));
const GOOD = Math.sqrt(8);
const EOS = 2 * Math.sqrt(8);
const LOG_SUM = Math.log(Math.exp(GOOD) + Math.exp(EOS) + 260);

interface TestRow {
  readonly prompt: string;
  readonly completion: string;
  readonly topic?: string;
}

function writeRows(name: string, rows: readonly TestRow[]): void {
  writeFileSync(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

const RIGHT = { prompt: '一', completion: '好', topic: 'daily' };
const WRONG = { prompt: '二', completion: '好好', topic: 'science' };
const OUTSIDE = { prompt: '三', completion: '不知道。', topic: 'outside' };

before(async () => {
  mkdirSync(join(folder, 'data'));
  for (const name of ['best', 'quantized'] as const) {
    await saveTinyCheckpoint(join(folder, 'checkpoints', name), { says: 'once', isQuantized: name === 'quantized' });
  }
  await saveTinyCheckpoint(join(folder, 'endless'), { says: 'forever' });
  writeRows('data/val.jsonl', [RIGHT]);
  writeRows('data/test.jsonl', [RIGHT, RIGHT, WRONG, OUTSIDE]);
  writeRows('unsure.jsonl', [RIGHT, WRONG, OUTSIDE]);
  writeRows('plain.jsonl', [{ prompt: '一', completion: '好' }]);
});
after(() => rmSync(folder, { recursive: true }));

async function evaluate(...args: string[]) {
  return runCli(['eval', ...args], { cwd: folder, env: { NO_COLOR: '1' } });
}

async function evaluateJson(...args: string[]) {
  const { exitCode, stdout, stderr } = await evaluate('--json', ...args);
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' });
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function assertNear(actual: number, expected: number): void {
  // Logits are float32 (7 digits), and the 1e-6 in RMSNorm takes 4e-6 of the longer embedding's.
  assert.ok(Math.abs(actual - expected) <= 2e-5 * (1 + Math.abs(expected)), `got ${actual}, expected ${expected}`);
}

describe('eval', { concurrency: 2 }, () => {
  it('eval: asks the best checkpoint the test split, and prints a report of 80 columns', async () => {
    const { stdout, stderr, exitCode } = await evaluate();
    assert.equal(
      stdout.replace(/rows, 3 of them distinct, [\d.]+ m?s/, 'rows, 3 of them distinct, TIME'),
      `checkpoints/best on data/test.jsonl: 4 rows, 3 of them distinct, TIME

  loss 3.8296, perplexity 46.05, 5.3623 bits per byte of the answers
  taught questions answered exactly               2 of 3   66.7 %
  taught questions refused by mistake             0 of 3    0.0 %
  questions outside refused                       0 of 1    0.0 %
  character overlap (ROUGE-L), mean                        66.7 %

  topic                        rows   exact           refused   overlap     loss
  daily                           2       2  100.0 %        0   100.0 %   1.6195
  outside                         1       0    0.0 %        0     0.0 %   5.2736
  science                         1       0    0.0 %        0    66.7 %   2.0909
  all                             4       2   50.0 %        0    66.7 %   3.8296

Wrong answers (2):

  asked     二
  expected  好好
  answered  好 (confidence 0.03)

  asked     三
  expected  不知道。
  answered  好 (confidence 0.03)
`,
    );
    for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
    assert.deepEqual({ stderr, exitCode }, { stderr: '', exitCode: 0 });
  });

  it('eval: the figures are those that the logits give by hand', async () => {
    const [report] = await evaluateJson('--data', 'plain.jsonl');
    // 好, the end, and the end once more; the bytes are the three of 好.
    assertNear(report.loss, (3 * LOG_SUM - GOOD - 2 * EOS) / 3);
    assertNear(report.perplexity, Math.exp((3 * LOG_SUM - GOOD - 2 * EOS) / 3));
    assertNear(report.bits_per_byte, (2 * LOG_SUM - GOOD - EOS) / Math.LN2 / 3);
    assert.deepEqual(report.wrong, []);
    assert.deepEqual(
      report.topics.map(({ topic, rows }: { topic: string | null; rows: number }) => [topic, rows]),
      [[null, 1]],
    );
  });

  it('eval: every wrong answer is in the JSON, with its line and confidence', async () => {
    const [report] = await evaluateJson('--wrong', '0');
    const { confidence, ...first } = report.wrong[0];
    assert.deepEqual(first, {
      line: 3,
      topic: 'science',
      copies: 1,
      prompt: '二',
      expected: '好好',
      answer: '好',
    });
    assertNear(confidence, Math.exp(GOOD - LOG_SUM));
    assert.equal(report.wrong.length, 2);
    assert.deepEqual([report.rows, report.distinct_rows, report.exact, report.exact_share], [4, 3, 2, 0.5]);
    assert.deepEqual(report.taught, { rows: 3, exact: 2, refused: 0 });
    assert.deepEqual(report.outside, { rows: 1, refused: 0 });
  });

  it('eval: every checkpoint on every file, int8 and endless ones too; --limit draws rows', async () => {
    const args = ['--ckpt', 'quantized', 'endless', '--data', 'data/test.jsonl', 'plain.jsonl', '--limit', '2'];
    const reports = await evaluateJson(...args);
    assert.deepEqual(
      reports.map((report) => [report.checkpoint, report.data, report.rows, report.rows_in_file]),
      [
        ['checkpoints/quantized', 'data/test.jsonl', 2, 4],
        ['checkpoints/quantized', 'plain.jsonl', 1, 1],
        ['endless', 'data/test.jsonl', 2, 4],
        ['endless', 'plain.jsonl', 1, 1],
      ],
    );
    assert.equal(reports[1].exact, 1);
    // 64 tokens of sequence less the prompt's: never ends, is never right.
    assert.equal(reports[3].exact, 0);
    assert.match(reports[3].wrong[0].answer, /^好{40,}$/);
  });

  it('eval: --min-confidence takes unsure answers for refusals', async () => {
    const [report] = await evaluateJson('--min_confidence', '0.5');
    assert.deepEqual(report.taught, { rows: 3, exact: 0, refused: 3 });
    assert.deepEqual(report.outside, { rows: 1, refused: 1 });
  });

  it('eval: --choose-confidence looks at the validation data alone', async () => {
    const [none] = await evaluateJson('--choose-confidence');
    assert.equal(none.data, 'data/val.jsonl');
    assert.deepEqual([none.best.min_confidence, none.best.right_decisions], [0, 1]);
    const { stdout } = await evaluate('--choose-confidence', '--set', 'data.val_path=unsure.jsonl');
    // All three answers have a confidence of 0.0300.
    assert.equal(
      stdout,
      `checkpoints/best on unsure.jsonl: 3 rows

  --min-confidence                              off     0.04
  right decisions                                 1        2   of 3
  taught questions answered exactly               1        0   of 2
  taught questions refused                        0        2   of 2
  questions outside refused                       0        1   of 1
  wrong answers given                             2        0   of 3

Right: a right answer given, or none where it would have been wrong.
  npx gpt-loom infer --ckpt checkpoints/best --min_confidence 0.04
`,
    );
  });

  it('eval: refuses what makes no sense with exit code 2 and a clear message', async () => {
    const cases: [args: string[], message: string][] = [
      [['--wrong', 'all'], 'ConfigError: --wrong is "all".\n  Expected an integer of at least 0. 0 shows none.\n'],
      [['--limit', '0'], 'ConfigError: --limit is "0".\n'],
      [['--min-confidence', '2'], 'ConfigError: --min-confidence is "2".\n'],
      [
        ['--choose-confidence', '--data', 'data/test.jsonl'],
        "ConfigError: --choose-confidence and --data don't go together.\n",
      ],
      [['--data', 'none.jsonl'], 'DataError: There is no data file none.jsonl.\n'],
      [['--ckpt', 'last'], 'CheckpointError: There is no checkpoint "checkpoints/last"'],
    ];
    for (const [args, message] of cases) {
      const { exitCode, stdout, stderr } = await evaluate(...args);
      assert.ok(stderr.startsWith(message), `${args}: ${stderr}`);
      assert.deepEqual({ exitCode, stdout }, { exitCode: 2, stdout: '' });
    }
  });
});
