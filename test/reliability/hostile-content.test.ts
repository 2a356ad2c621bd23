// What a hostile file might try on purpose: run a pattern, reach a prototype, name files elsewhere, be larger than memory.

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { parseInfo } from '../../src/checkpoint/info.js';
import { parseState } from '../../src/checkpoint/training-state.js';
import { loadConfig } from '../../src/config/load.js';
import { loadRows } from '../../src/data/jsonl.js';
import { loadTokenizer, parseTokenizer } from '../../src/tokenizer/tokenizer.js';
import { runCli } from '../helpers/cli.js';
import { temporaryFolder } from '../helpers/run.js';
import { createProject, trainToEnd } from './project.js';

let project: string;
let last: string;

before(async () => {
  project = createProject(8);
  await trainToEnd(project, 'run', ['--max-steps', '4']);
  last = join(project, 'run/last');
});

type Json = Record<string, unknown>;

const PATTERN = '(a+)+$';
/** 37.9 s with that pattern, on 28 characters. */
const VICTIM = `${'a'.repeat(40)}!`;

/** Sources of all regular expressions that are made while `run` runs. */
function patternsOf(run: () => void): string[] {
  const real = globalThis.RegExp;
  const made: string[] = [];
  globalThis.RegExp = new Proxy(real, {
    construct(target, [source, flags]) {
      made.push(String(source));
      return new target(source, flags);
    },
  });
  try {
    run();
  } finally {
    globalThis.RegExp = real;
  }
  return made;
}

function tokenizerWith(change: (file: Json & { added_tokens: Json[]; model: Json }) => void): string {
  const file = JSON.parse(readFileSync(join(project, 'tokenizer.json'), 'utf8'));
  change(file);
  return JSON.stringify(file);
}

test('hostile tokenizer: no pattern of a file is ever compiled, wherever it stands', () => {
  const regex = { Regex: PATTERN };
  const split = { type: 'Split', pattern: regex, behavior: 'Isolated', invert: false };
  const changes: [where: string, change: Parameters<typeof tokenizerWith>[0], isRefused: boolean][] = [
    [
      'normalizer',
      (file) => Object.assign(file, { normalizer: { type: 'Replace', pattern: regex, content: '' } }),
      true,
    ],
    ['pre_tokenizer', (file) => Object.assign(file, { pre_tokenizer: split }), true],
    [
      'a sequence of them',
      (file) => Object.assign(file, { pre_tokenizer: { type: 'Sequence', pretokenizers: [split] } }),
      true,
    ],
    ['decoder', (file) => Object.assign(file, { decoder: { type: 'Replace', pattern: regex, content: '' } }), true],
    ['beside the pre_tokenizer', (file) => Object.assign(file.pre_tokenizer as Json, { pattern: regex }), false],
    ['padding', (file) => Object.assign(file, { padding: { pattern: regex }, truncation: regex }), false],
    [
      'a special token',
      (file) =>
        file.added_tokens.push({
          id: Object.keys(file.model.vocab as Json).length,
          content: PATTERN,
          special: true,
          normalized: true,
        }),
      false,
    ],
    ['the model', (file) => Object.assign(file.model, { continuing_subword_prefix: PATTERN }), true],
  ];
  assert.deepEqual(
    patternsOf(() => new RegExp(`${PATTERN}x`)),
    [`${PATTERN}x`],
  );
  for (const [where, change, isRefused] of changes) {
    const text = tokenizerWith(change);
    const started = process.cpuUsage();
    const made = patternsOf(() => {
      const use = () => parseTokenizer(text, where).encode(VICTIM + PATTERN, { special: true });
      if (isRefused) assert.throws(use, { name: 'DataError' }, where);
      else use();
    });
    const { user } = process.cpuUsage(started);
    assert.ok(user < 1e6, `${where}: ${user / 1000} ms`);
    const hostile = made.filter((source) => source.includes(PATTERN));
    assert.deepEqual(hostile, [], where);
  }
});

test('hostile keys: __proto__, constructor and toString are keys like any other in every kind of file', () => {
  const rows = join(project, 'proto.jsonl');
  const good = '{"prompt":"甲","completion":"乙"}';
  writeFileSync(rows, `{"__proto__":${good}}\n`);
  assert.throws(() => loadRows(rows), { name: 'DataError', message: /line 1: "prompt" is missing/ });
  writeFileSync(rows, `{"__proto__":{"topic":"x"},"constructor":1,${good.slice(1)}\n`);
  assert.deepEqual(loadRows(rows), [{ prompt: '甲', completion: '乙', file: rows, line: 1 }]);

  const state = readFileSync(join(last, 'training/state.json'), 'utf8');
  const { step, ...without } = JSON.parse(state) as Json;
  const nested = JSON.stringify(without).replace('{', `{"__proto__":{"step":${step}},`);
  assert.throws(() => parseState(nested, 'x'), { name: 'CheckpointError', message: /"step" is missing/ });
  const info = readFileSync(join(last, 'config.json'), 'utf8');
  const { model, ...rest } = JSON.parse(info) as Json;
  assert.ok(model !== undefined);
  const inherited = JSON.stringify(rest).replace('{', `{"__proto__":{"model":${JSON.stringify(model)}},`);
  assert.throws(() => parseInfo(inherited, 'x'), { name: 'CheckpointError', message: /"model" is missing/ });

  for (const name of ['__proto__', 'constructor', 'toString']) {
    const text = tokenizerWith((file) => {
      const id = Object.keys(file.model.vocab as Json).length;
      file.added_tokens.push({ id, content: name, special: true });
    });
    const tokenizer = parseTokenizer(text, 'x');
    assert.equal(tokenizer.decode(tokenizer.encode(`天空${name}`, { special: false })), `天空${name}`, name);
  }
  const yaml = join(project, 'proto.yaml');
  writeFileSync(yaml, 'training: { __proto__: { lr: 1 }, constructor: 1 }\n');
  assert.throws(() => loadConfig({ configPath: yaml }), { name: 'ConfigError', message: /__proto__/ });
  assert.deepEqual(Object.keys(Object.prototype), []);
  assert.equal(({} as Json).lr, undefined);
});

test('hostile checkpoint: the paths that its settings name are never opened', async () => {
  const folder = join(temporaryFolder(), 'moved');
  cpSync(last, folder, { recursive: true });
  const path = join(folder, 'config.json');
  const info = JSON.parse(readFileSync(path, 'utf8')) as { training: Json; data: Json; tokenizer: Json };
  // Opening one of them would be an error here, and at /dev/tty or a pipe something worse.
  const elsewhere = '../../../../no/such/place';
  Object.assign(info.training, { save_dir: elsewhere, init_from: elsewhere });
  Object.assign(info.data, { train_path: elsewhere, val_path: '/dev/full' });
  Object.assign(info.tokenizer, { path: elsewhere });
  writeFileSync(path, JSON.stringify(info));
  const ask = (ckpt: string) =>
    runCli(['infer', '--ckpt', ckpt, '--prompt', '天空', '--temperature', '0', '--max-new-tokens', '4', '--quiet'], {
      cwd: project,
    });
  const [expected, found] = [await ask(last), await ask(folder)];
  assert.equal(found.exitCode, 0, found.stderr);
  assert.deepEqual(found, expected);
});

test('hostile size: what is larger than it can be is refused before it is read', () => {
  const megabytes = (name: string, size: number) => {
    const path = join(project, name);
    writeFileSync(path, '');
    truncateSync(path, size * 1024 * 1024); // Sparse: it takes no room.
    return path;
  };
  const rss = process.memoryUsage.rss();
  assert.throws(() => loadTokenizer(megabytes('large.json', 3000)), {
    name: 'DataError',
    message: /has 3000 MB; a tokenizer may have 64 MB/,
  });
  assert.throws(() => loadConfig({ configPath: megabytes('large.yaml', 3000) }), {
    name: 'ConfigError',
    message: /larger than 1 MB/,
  });
  assert.throws(() => loadRows(megabytes('large.jsonl', 3000)), { name: 'DataError' });
  mkdirSync(join(project, 'a-folder'), { recursive: true });
  for (const load of [loadTokenizer, loadRows])
    assert.throws(() => load(join(project, 'a-folder')), { name: 'DataError' });
  assert.ok(process.memoryUsage.rss() - rss < 200 * 1024 * 1024);
});
