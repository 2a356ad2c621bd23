import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { CommandExit } from '../../../src/commands/exit.js';
import { chat } from '../../../src/commands/infer/chat.js';
import type { AnswerPrinter } from '../../../src/commands/infer/print.js';
import { DataError } from '../../../src/errors.js';

const END = {
  type: 'end',
  text: '',
  reason: 'eos',
  tokens: 0,
  promptTokens: 0,
  prefillMs: 0,
  decodeMs: 0,
  decodedTokens: 0,
} as const;

/** A conversation with what a person types; `isTTY` makes it a terminal, where keys are read one by one. */
function start({ isTTY = false, answer }: { isTTY?: boolean; answer?: AnswerPrinter } = {}) {
  const controller = new AbortController();
  const stdin = new PassThrough();
  const stdout = Object.assign(new PassThrough(), { isTTY });
  const stderr = new PassThrough();
  const asked: string[] = [];
  const printAnswer: AnswerPrinter = async (prompt) => {
    asked.push(prompt);
    stdout.write(`答 ${prompt}\n`);
    return END;
  };
  const ended = chat(answer ?? printAnswer, stdin, { stdout, stderr, signal: controller.signal }, () =>
    controller.abort(),
  );
  const read = (stream: PassThrough) => String(stream.read() ?? '');
  return { stdin, stdout, stderr, asked, ended, read };
}

describe('chat', () => {
  it('chat: answers line by line until the input ends; lines without text are passed over', async () => {
    const { stdin, asked, ended } = start();
    stdin.end('什么是词元？\n\n \u3000\n什么是注意力？\n');
    await ended;
    assert.deepEqual(asked, ['什么是词元？', '什么是注意力？']);
  });

  it('chat: the prompt and the greeting go to standard error when the answers go elsewhere', async () => {
    const { stdin, stdout, stderr, ended, read } = start();
    stdin.end('甲\n');
    await ended;
    assert.equal(read(stdout), '答 甲\n');
    assert.equal(read(stderr), 'Ask in Chinese, one question a line; each is answered by itself. Ctrl-D ends.\n> > \n');
  });

  it('chat: a question that cannot be answered is explained, and the next one is answered', async () => {
    const asked: string[] = [];
    const { stdin, stderr, ended, read } = start({
      answer: async (prompt) => {
        asked.push(prompt);
        if (prompt === '长') throw new DataError('The prompt "长" is too long.');
        return END;
      },
    });
    stdin.end('长\n短\n');
    await ended;
    assert.deepEqual(asked, ['长', '短']);
    assert.match(read(stderr), /DataError: The prompt "长" is too long\.\n/);
  });

  it('chat: other errors end it', async () => {
    const { stdin, ended } = start({
      answer: async () => {
        throw new TypeError('a mistake of ours');
      },
    });
    stdin.write('甲\n');
    await assert.rejects(ended, new TypeError('a mistake of ours'));
  });

  it('chat: Ctrl-C on a terminal ends it with exit code 130, Ctrl-D with none', async () => {
    const interrupted = start({ isTTY: true });
    interrupted.stdin.write('\x03');
    await assert.rejects(interrupted.ended, (error) => error instanceof CommandExit && error.exitCode === 130);

    const finished = start({ isTTY: true });
    finished.stdin.write('甲\r');
    while (finished.asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
    finished.stdin.write('\x04');
    await finished.ended;
    assert.deepEqual(finished.asked, ['甲']);
  });
});
