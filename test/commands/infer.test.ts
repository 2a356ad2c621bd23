// The command as a user runs it: a process of its own, a real checkpoint, the native engine.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { createTokenizer } from '../../src/tokenizer/tokenizer.js';
import { MIN_VOCAB_SIZE, trainBpe } from '../../src/tokenizer/train.js';
import { repoRoot } from '../helpers/paths.js';
import { saveTinyCheckpoint } from './tiny-checkpoint.js';

const CLI = join(repoRoot, '.build/js/src/cli.js');

describe('infer', { concurrency: 2 }, () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gpt-loom-infer-'));
    const checkpoints = join(folder, 'checkpoints');
    await saveTinyCheckpoint(join(checkpoints, 'last'), { says: 'once' });
    await saveTinyCheckpoint(join(checkpoints, 'quantized'), { says: 'once', isQuantized: true });
    await saveTinyCheckpoint(join(checkpoints, 'best'), { says: 'forever', seqLen: 60_000 });
    const foreign = createTokenizer(trainBpe([], { vocabSize: MIN_VOCAB_SIZE })).toJson();
    await saveTinyCheckpoint(join(checkpoints, 'foreign'), { says: 'once', tokenizerJson: foreign });
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** Runs `gpt-loom infer ...` in the folder of the checkpoints. */
  function start(...args: string[]): ChildProcess {
    return spawn(process.execPath, [CLI, 'infer', ...args], { cwd: folder, env: { ...process.env, NO_COLOR: '1' } });
  }

  async function infer(args: readonly string[], stdin = ''): Promise<{ code: number; stdout: string; stderr: string }> {
    const child = start(...args);
    child.stdin?.on('error', () => {}); // It may end without reading.
    child.stdin?.end(stdin);
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'exit')]);
    return { code, stdout, stderr };
  }

  it('infer: answers from checkpoints/last with the flags of the original', async () => {
    const flags = [
      '--temperature',
      '0.0',
      '--max_new_tokens',
      '9',
      '--top_k',
      '5',
      '--top_p',
      '0.9',
      '--device',
      'cpu',
    ];
    const { code, stdout, stderr } = await infer(['--prompt', '你好 吗？', '--show_label', ...flags]);
    assert.equal(stdout, '回答:好\n');
    assert.match(
      stderr,
      /^prompt \d+ tokens at [\d,]+ tokens\/s, answer 1 token at [\d,]+ tokens\/s \(checkpoints\/last\)\n$/,
    );
    assert.equal(code, 0);
  });

  it('infer: answers from the quantized checkpoint, by its name and by its path', async () => {
    for (const ckpt of ['quantized', './checkpoints/quantized/']) {
      const { stdout, stderr, code } = await infer(['--prompt', '好？', '--ckpt', ckpt, '--quiet']);
      assert.deepEqual({ stdout, stderr, code }, { stdout: '好\n', stderr: '', code: 0 });
    }
  });

  it('infer: answers every line of a pipe, as text and as JSON', async () => {
    const { stdout } = await infer(['--quiet'], '一\n\n二\n');
    assert.equal(stdout, '> 一\n好\n\n> 二\n好\n');
    const json = await infer(['--json', '--prompt_file', '-'], '一\n二\n');
    const objects = json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      objects.map(({ prompt, answer, reason }) => [prompt, answer, reason]),
      [
        ['一', '好', 'eos'],
        ['二', '好', 'eos'],
      ],
    );
    assert.equal(json.stderr, '');
  });

  it('infer: Ctrl-C breaks off the answer, ends the line and exits with 130', async () => {
    const child = start('--prompt', '好', '--ckpt', 'best', '--max-new-tokens', '60000');
    child.stdin?.end();
    child.stdout?.once('data', () => child.kill('SIGINT'));
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'exit')]);
    assert.equal(code, 130);
    assert.match(stdout, /^好+\n$/);
    assert.equal(stderr, '');
  });

  it('infer: ends quietly when nobody reads any more', async () => {
    const child = start('--prompt', '好', '--ckpt', 'best', '--max-new-tokens', '60000');
    child.stdin?.end();
    child.stdout?.once('data', () => child.stdout?.destroy());
    const [stderr, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit')]);
    assert.deepEqual({ stderr, code }, { stderr: '', code: 0 });
  });

  it('infer: refuses bad input with exit code 2 and one clear message', async () => {
    const cases: [args: string[], message: string][] = [
      [['--prompt', '好', '--top_p', '2'], 'ConfigError: --top-p is "2".\n'],
      [['--prompt', ' '], 'ConfigError: --prompt " " is empty.\n'],
      [['--quiet'], 'ConfigError: There is no question in standard input.\n'],
      [
        ['--prompt', '好', '--ckpt', 'checkpoints/last.pt'],
        'CheckpointError: "checkpoints/last.pt" is a name for PyTorch files',
      ],
      [
        ['--prompt', '好', '--ckpt', 'checkpoints/foreign'],
        'CheckpointError: checkpoints/foreign/tokenizer.json has 260 tokens, but the model beside it was trained with 262.\n' +
          '  Each token of the tokenizer needs its own row in the model, so both must come from the same run.\n' +
          '  Put the tokenizer of that run there, or use another checkpoint.\n',
      ],
      [
        ['--prompt', '好'.repeat(80)],
        'DataError: The prompt "好好好好好好好好好好好好好好好好好好好好…" is too long: ',
      ],
      [['--prompt', '好', '--topk', '3'], "UsageError: unknown option '--topk'\n"],
    ];
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await infer(args);
      assert.equal(code, 2, `${args}: ${stderr}`);
      assert.equal(stdout, '');
      assert.ok(stderr.startsWith(message), `${args}: ${stderr}`);
      assert.doesNotMatch(stderr, /\n {4}at /);
    }
  });
});
