import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { type InputStream, readPrompts } from '../../../src/commands/infer/prompts.js';
import { ConfigError, DataError } from '../../../src/errors.js';

const piped = (...chunks: (string | Buffer)[]): InputStream => Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
const keyboard = (): InputStream => Object.assign(Readable.from([]), { isTTY: true });

describe('infer prompts', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gpt-loom-prompts-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function fileWith(content: string | Buffer): Promise<string> {
    const path = join(folder, 'questions.txt');
    await writeFile(path, content);
    return path;
  }

  it('infer prompts: --prompt comes first, then the lines of the file; standard input stays unread', async () => {
    const promptFile = await fileWith('乙\n丙\n');
    assert.deepEqual(await readPrompts({ prompt: ['甲'], promptFile }, piped('丁')), ['甲', '乙', '丙']);
    assert.deepEqual(await readPrompts({ prompt: ['甲'] }, piped('丁')), ['甲']);
  });

  it('infer prompts: reads a pipe when no flag names a question, even if a character lies across two chunks', async () => {
    const [a, b] = [Buffer.from('什么是词元？\n').subarray(0, 4), Buffer.from('什么是词元？\n').subarray(4)];
    assert.deepEqual(await readPrompts({}, piped(a, b)), ['什么是词元？']);
    assert.deepEqual(await readPrompts({ promptFile: '-' }, piped('甲\n乙')), ['甲', '乙']);
  });

  it('infer prompts: leaves out lines without text, Windows line ends and a byte-order mark', async () => {
    const promptFile = await fileWith('\uFEFF甲\r\n\r\n \u3000\n乙');
    assert.deepEqual(await readPrompts({ promptFile }, keyboard()), ['甲', '乙']);
  });

  it('infer prompts: nothing given and a person at the keyboard means a conversation', async () => {
    assert.equal(await readPrompts({}, keyboard()), null);
  });

  it('infer prompts: refuses an empty question', async () => {
    for (const prompt of ['', '  ', '\u3000']) {
      await assert.rejects(
        readPrompts({ prompt: ['甲', prompt] }, keyboard()),
        new ConfigError(
          `--prompt "${prompt}" is empty.\n  Expected a question; spaces alone don't count.\n  For example: --prompt 什么是注意力机制？`,
        ),
      );
    }
  });

  it('infer prompts: refuses a pipe and a file without any question', async () => {
    const message = (source: string) =>
      `There is no question in ${source}.\n  Expected one question a line.\n` +
      '  Fill it, or ask with --prompt; on a terminal, infer without flags starts a conversation.';
    await assert.rejects(readPrompts({}, piped('\n \n')), new ConfigError(message('standard input')));
    const promptFile = await fileWith('');
    await assert.rejects(readPrompts({ promptFile }, keyboard()), new ConfigError(message(promptFile)));
  });

  it('infer prompts: says why a file cannot be read', async () => {
    const missing = join(folder, 'none.txt');
    const message = (path: string, reason: string) =>
      `--prompt-file ${path} can't be read: ${reason}.\n` +
      '  Expected a text file with one question a line, or - for standard input.\n  Check the path.';
    const refusal = (expected: string) => (error: Error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.message, expected);
      return true;
    };
    await assert.rejects(
      readPrompts({ promptFile: missing }, keyboard()),
      refusal(message(missing, 'there is no such file')),
    );
    await assert.rejects(readPrompts({ promptFile: folder }, keyboard()), refusal(message(folder, 'it is a folder')));
  });

  it('infer prompts: refuses text that is not UTF-8', async () => {
    const gb18030 = Buffer.from([0xc4, 0xe3, 0xba, 0xc3]); // 你好
    await assert.rejects(readPrompts({}, piped(gb18030)), (error) => {
      assert.ok(error instanceof DataError);
      assert.match(error.message, /^The questions in standard input are not UTF-8\.\n/);
      return true;
    });
  });
});
