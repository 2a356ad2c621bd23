import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadRows } from '../../src/data/jsonl.js';
import { DataError } from '../../src/errors.js';

const folder = mkdtempSync(join(tmpdir(), 'loom-jsonl-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'rows.jsonl');

const EXPECTED =
  'Each line must be a JSON object with two texts that are not empty: {"prompt": "什么是词元？", "completion": "…"}';
const GOOD = '{"prompt":"问","completion":"答"}';

function rowsOf(content: string | Uint8Array) {
  writeFileSync(path, content);
  return loadRows(path);
}

/** The message without the path. */
function problemsOf(content: string | Uint8Array): string {
  try {
    rowsOf(content);
  } catch (error) {
    assert.ok(error instanceof DataError, String(error));
    return error.message.replaceAll(path, 'FILE');
  }
  return 'no problem';
}

test('rows: keep prompt, completion and topic as they are, with file and line', () => {
  const rows = rowsOf(
    '{"prompt":" 问 题 ","completion":"答\\n案","topic":"gpt","other":[1]}\n{"prompt":"a","completion":"b","topic":7}',
  );
  assert.deepEqual(rows, [
    { prompt: ' 问 题 ', completion: '答\n案', file: path, line: 1, topic: 'gpt' },
    { prompt: 'a', completion: 'b', file: path, line: 2 },
  ]);
});

test('rows: a byte-order mark, Windows line ends, blank lines and a missing last line end are fine', () => {
  const lines = rowsOf(`\ufeff${GOOD}\r\n\r\n  \n${GOOD}\r\n\n${GOOD}`).map(({ line }) => line);
  assert.deepEqual(lines, [1, 4, 6]);
});

test('rows: each bad one is named with line and reason', () => {
  const bad: readonly [line: string, reason: string][] = [
    ['[1]', 'a list, not an object.'],
    ['null', 'null, not an object.'],
    ['"text"', 'a string, not an object.'],
    ['{}', '"prompt" is missing.'],
    ['{"prompt":"a"}', '"completion" is missing.'],
    ['{"prompt":5,"completion":"b"}', '"prompt" is a number, not text.'],
    ['{"prompt":"a","completion":null}', '"completion" is null, not text.'],
    ['{"prompt":"a","completion":["b"]}', '"completion" is a list, not text.'],
    ['{"prompt":" \\u3000\\n","completion":"b"}', '"prompt" is empty.'],
    [
      '{"prompt":"a","completion":"\\ud83d"}',
      '"completion" holds half a character (an unpaired surrogate such as \\ud83d).',
    ],
  ];
  for (const [line, reason] of bad) {
    assert.equal(problemsOf(`${GOOD}\n\n${line}\n`), `FILE: 1 bad row.\n  line 3: ${reason}\n  ${EXPECTED}`);
  }
});

test('rows: what is not JSON is quoted without its control characters', () => {
  const message = problemsOf(`${GOOD}\n{"prompt": \u001b[31m\n`);
  assert.match(message, /^FILE: 1 bad row\.\n {2}line 2: not JSON \(.+\)\.\n/);
  assert.ok(!message.includes('\u001b'));
});

test('rows: bytes that are not UTF-8 are named', () => {
  const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(GOOD, 'utf16le')]);
  assert.match(problemsOf(utf16), /^FILE: 1 bad row\.\n {2}line 1: not UTF-8 text; save the file as UTF-8\.\n/);
  const latin1 = Buffer.concat([Buffer.from(`${GOOD}\n`), Buffer.from('{"prompt":"é","completion":"b"}', 'latin1')]);
  assert.match(problemsOf(latin1), /line 2: not UTF-8 text/);
});

test('rows: a line over 1 MB is no row', () => {
  const line = (length: number) => `{"prompt":"${'a'.repeat(length)}","completion":"b"}`;
  const limit = (1 << 20) - line(0).length;
  assert.equal(rowsOf(line(limit)).length, 1);
  assert.match(problemsOf(`${GOOD}\n${line(limit + 1)}`), /line 2: longer than 1 MB; are the line breaks missing\?/);
});

test('rows: several bad ones are listed, ten at most', () => {
  assert.equal(
    problemsOf(`{}\n${GOOD}\n7\n`),
    `FILE: 2 bad rows.\n  line 1: "prompt" is missing.\n  line 3: a number, not an object.\n  ${EXPECTED}`,
  );
  const many = problemsOf('{}\n'.repeat(1000)).split('\n');
  assert.equal(many[0], 'FILE: the first 10 bad rows (there may be more).');
  assert.deepEqual([many.length, many[10]], [12, '  line 10: "prompt" is missing.']);
});

test('rows: a file without any is refused', () => {
  const message = `FILE has no rows: it is empty.\n  ${EXPECTED}`;
  assert.equal(problemsOf(''), message);
  assert.equal(problemsOf('\n\r\n  \n'), message);
});

test('rows: a missing file and a folder are named with what to do', () => {
  const missing = join(folder, 'missing.jsonl');
  assert.throws(() => loadRows(missing), {
    name: 'DataError',
    message: `There is no data file ${missing}.\n  Looked for ${missing}. Set data.train_path and data.val_path in config.yaml to JSONL files.`,
  });
  assert.throws(() => loadRows(folder), {
    name: 'DataError',
    message: `${folder} is a folder; expected a JSONL file.\n  Pass the file in it, e.g. ${folder}/train.jsonl.`,
  });
});
