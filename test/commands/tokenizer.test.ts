import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadTokenizer } from '../../src/tokenizer/tokenizer.js';
import { runCli } from '../helpers/cli.js';

const folder = mkdtempSync(join(tmpdir(), 'loom-tokenizer-command-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const run = (args: string, input: string | Uint8Array = '') =>
  runCli(['tokenizer', ...args.split('|')], { cwd: folder, input });

// "xyxy" twice among the answers: after x+y, the pair (xy, xy) is the most frequent.
writeFileSync(join(folder, 'one.jsonl'), '{"prompt":"p q","completion":"xyxy"}\n{"prompt":"pq","completion":"xyxy"}\n');
writeFileSync(join(folder, 'two.jsonl'), '{"prompt":"r","completion":"xyxyxy"}\n');
const BUILD = 'build|--data|one.jsonl|two.jsonl|--vocab-size|262|--out|made/tokenizer.json';

test('tokenizer build: learns from all files, writes where it is told and says what came of it', async () => {
  const text = await run(BUILD);
  assert.deepEqual([text.exitCode, text.stderr], [0, '']);
  assert.match(
    text.stdout,
    /^made\/tokenizer\.json: 262 tokens, 2 of them merges\n {2}learnt from 3 rows of one\.jsonl, two\.jsonl in \d+\.\d\d s\n {2}a row has \d+\.\d tokens on average\n$/,
  );
  const json = await run(`${BUILD}|--json`);
  const summary = JSON.parse(json.stdout) as Record<string, unknown>;
  const tokenizer = loadTokenizer(join(folder, 'made/tokenizer.json'));
  assert.equal(summary.fingerprint, tokenizer.fingerprint);
  assert.deepEqual(
    { rows: summary.rows, vocabSize: summary.vocabSize, merges: summary.merges, files: summary.files },
    { rows: 3, vocabSize: 262, merges: 2, files: ['one.jsonl', 'two.jsonl'] },
  );
  const rowLength = (prompt: string, answer: string) =>
    tokenizer.encode(`用户:${prompt}\n助手:`, { special: true }).length +
    tokenizer.encode(answer, { special: false }).length +
    1;
  assert.equal(summary.meanTokensPerRow, (2 * rowLength('pq', 'xyxy') + rowLength('r', 'xyxyxy')) / 3);
  assert.deepEqual(readdirSync(join(folder, 'made')), ['tokenizer.json']);
});

test('tokenizer build: takes its defaults from the configuration, and says when the data has too few pairs', async () => {
  writeFileSync(
    join(folder, 'own.yaml'),
    'data:\n  train_path: one.jsonl\ntokenizer:\n  path: own/tok.json\n  vocab_size: 2000\n',
  );
  const { stdout, exitCode } = await run('build|--config|own.yaml');
  assert.equal(exitCode, 0);
  const { vocabSize } = loadTokenizer(join(folder, 'own/tok.json'));
  assert.ok(
    stdout.startsWith(
      `own/tok.json: ${vocabSize} tokens, ${vocabSize - 260} of them merges; the data has no more pairs, 2,000 were allowed\n`,
    ),
    stdout,
  );
});

test('tokenizer inspect: shows a table for each text, or all as JSON, of arguments or standard input', async () => {
  await run('build|--data|one.jsonl|--vocab-size|300|--out|tok.json');
  const [table, json, piped] = await Promise.all([
    run('inspect|--tokenizer|tok.json|xyxy|手'),
    run('inspect|--tokenizer|tok.json|--json|xyxy'),
    run('inspect|--tokenizer|tok.json|--json', 'xyxy\r\n\n'),
  ]);
  assert.deepEqual([table.exitCode, table.stderr], [0, '']);
  assert.match(
    table.stdout,
    /^ ?id {2}piece {2}bytes\n\d+ {2}xyxy {3}78 79 78 79\n1 token, 4 bytes; decodes to the same text\.\n\n/,
  );
  const [inspection] = JSON.parse(json.stdout) as [{ tokens: { piece: string }[]; roundTrips: boolean }];
  assert.deepEqual(
    inspection.tokens.map(({ piece }) => piece),
    ['xyxy'],
  );
  assert.equal(inspection.roundTrips, true);
  // One line end is what `echo` adds; the other belongs to the text.
  assert.equal((JSON.parse(piped.stdout) as [{ text: string }])[0].text, 'xyxy\r\n');
});

test('tokenizer inspect: text that is not UTF-8 is refused, not looked at with other characters', async () => {
  const { exitCode, stdout, stderr } = await run('inspect|--tokenizer|tok.json', Uint8Array.of(0xff, 0x61));
  assert.deepEqual([exitCode, stdout], [2, '']);
  assert.match(stderr, /^DataError: The text on standard input is not UTF-8\.\n {2}.*iconv/);
});

test('tokenizer: bad input ends in one message and exit code 2', async () => {
  writeFileSync(join(folder, 'bad.jsonl'), '{}\n');
  writeFileSync(join(folder, 'other.json'), '{"model":{}}');
  const cases: readonly [args: string, message: RegExp, exitCode: number][] = [
    ['build|--data|none.jsonl', /^DataError: There is no data file none\.jsonl\.\n/, 2],
    ['build|--data|bad.jsonl', /^DataError: bad\.jsonl: 1 bad row\.\n {2}line 1: "prompt" is missing\.\n/, 2],
    [
      'build|--data|one.jsonl|--vocab-size|100',
      /^ConfigError: .*vocab_size is 100; expected a whole number from 260 to 65536/,
      2,
    ],
    [
      'build|--data|one.jsonl|--vocab-size|many',
      /^ConfigError: .*vocab_size is the text "many"; expected a whole number/,
      2,
    ],
    [
      'build|--data|one.jsonl|--out|one.jsonl/tok.json',
      /^FileError: The tokenizer cannot be written to one\.jsonl\/tok\.json \(/,
      74,
    ],
    [
      'inspect|--tokenizer|none.json|x',
      /^DataError: There is no tokenizer none\.json\.\n.*npx gpt-loom tokenizer build/,
      2,
    ],
    ['inspect|--tokenizer|other.json|x', /^DataError: other\.json is not a tokenizer that can be used here: /, 2],
  ];
  await Promise.all(
    cases.map(async ([args, message, exitCode]) => {
      const result = await run(args);
      assert.match(result.stderr, message);
      assert.deepEqual([result.exitCode, result.stdout], [exitCode, ''], args);
      assert.ok(!result.stderr.includes('    at '), 'no stack trace');
    }),
  );
});
