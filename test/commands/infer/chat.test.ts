import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { CommandExit } from '../../../src/commands/exit.js';
import { type ChatPartner, chat } from '../../../src/commands/infer/chat.js';
import { judge } from '../../../src/commands/infer/confidence.js';
import type { AnswerOptions } from '../../../src/commands/infer/flags.js';
import { DataError } from '../../../src/errors.js';
import type { GenerateEndEvent } from '../../../src/sampling/generate.js';
import { DEFAULT_GENERATE_OPTIONS } from '../../../src/sampling/options.js';

const OPTIONS: AnswerOptions = { ...DEFAULT_GENERATE_OPTIONS, seed: null, minConfidence: 0 };

function judged(text: string) {
  const end: GenerateEndEvent = {
    type: 'end',
    text,
    reason: 'eos',
    tokens: 1,
    promptTokens: 0,
    prefillMs: 0,
    decodeMs: 0,
    decodedTokens: 0,
  };
  return judge(end, [], 0);
}

interface StartOptions {
  readonly isTTY?: boolean;
  readonly historyTurns?: number;
  readonly answer?: (prompt: string, signal: AbortSignal) => Promise<string>;
}

/** A conversation with what a person types; `isTTY` makes it a terminal, where keys are read one by one. */
function start({ isTTY = false, historyTurns = 0, answer = async (prompt) => `答${prompt}` }: StartOptions = {}) {
  const stdin = new PassThrough();
  const stdout = Object.assign(new PassThrough(), { isTTY, columns: 80 });
  const stderr = new PassThrough();
  const asked: string[] = [];
  const usedOptions: AnswerOptions[] = [];
  const partner: ChatPartner = {
    options: OPTIONS,
    historyTurns,
    withHistory: (turns, question) =>
      [
        ...(historyTurns > 0 ? turns.slice(-historyTurns).map((turn) => `${turn.question}${turn.answer}`) : []),
        question,
      ].join('|'),
    createPrinter: (options, signal) => async (prompt) => {
      asked.push(prompt);
      usedOptions.push(options);
      const text = await answer(prompt, signal);
      stdout.write(`${text}\n`);
      return judged(text);
    },
  };
  const ended = chat(partner, stdin, { stdout, stderr });
  const read = (stream: PassThrough) => String(stream.read() ?? '');
  return { stdin, stdout, stderr, asked, usedOptions, ended, read };
}

/** Types into a terminal and waits until the lines were asked. */
async function type(conversation: ReturnType<typeof start>, keys: string, questions: number): Promise<void> {
  conversation.stdin.write(keys);
  while (conversation.asked.length < questions) await turn();
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits until the conversation is back at its prompt. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

/** Breaks off as the real printer does. */
function endlessAnswer(_prompt: string, signal: AbortSignal): Promise<string> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new CommandExit(130))));
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
    assert.equal(read(stdout), '答甲\n');
    assert.equal(read(stderr), 'Ask in Chinese, one question a line. /help lists the commands, Ctrl-D ends.\n> > \n');
  });

  it('chat: a question that cannot be answered is explained, and the next one is answered', async () => {
    const { stdin, stderr, asked, ended, read } = start({
      answer: async (prompt) => {
        if (prompt === '长') throw new DataError('The prompt "长" is too long.');
        return '好';
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

  it('chat: a question is read with the turns before it, until /clear', async () => {
    const { stdin, asked, ended } = start({ historyTurns: 1, answer: async () => '好' });
    stdin.end('甲\n乙\n丙\n/clear\n丁\n');
    await ended;
    assert.deepEqual(asked, ['甲', '甲好|乙', '乙好|丙', '丁']);
  });

  it('chat: /temp, /top_k and /top_p change the next answers; a wrong value changes nothing and is explained', async () => {
    const { stdin, stderr, usedOptions, ended, read } = start();
    stdin.end('甲\n/temp 0.8\n/top_k 40\n／top-p 0.9\n乙\n/temp hot\n/quit now\n/tmp 1\n丙\n');
    await ended;
    const changed = { ...OPTIONS, temperature: 0.8, topK: 40, topP: 0.9 };
    assert.deepEqual(usedOptions, [OPTIONS, changed, changed]);
    const said = read(stderr);
    assert.match(said, /temperature 0\.8\n.*top_k 40\n.*top_p 0\.9\n/s);
    assert.match(said, /ConfigError: \/temp is "hot"\.\n {2}Expected a number of at least 0\./);
    assert.match(said, /ConfigError: \/quit takes no value, but "now" follows it\.\n {2}Type \/quit alone\.\n/);
    assert.match(said, /ConfigError: \/tmp is not a command\.\n {2}Expected \/clear, \/temp,/);
  });

  it('chat: /help names every command and the present settings; /quit ends without reading on', async () => {
    const { stdin, stderr, asked, ended, read } = start({ historyTurns: 1 });
    stdin.end('/temp 0.5\n/help\n/quit\n甲\n');
    await ended;
    assert.deepEqual(asked, []);
    const help = read(stderr);
    for (const word of [
      '/clear',
      '/temp X',
      '(now 0.5)',
      '/top_k N',
      '/help',
      '/quit',
      'Ctrl-C',
      'the turn before it',
    ]) {
      assert.ok(help.includes(word), word);
    }
    for (const line of help.split('\n')) assert.ok(line.length <= 80, line);
  });

  it('chat: a question may begin with a slash', async () => {
    const { stdin, asked, ended } = start();
    stdin.end('/dev/null是什么\n/什么意思\n');
    await ended;
    assert.deepEqual(asked, ['/dev/null是什么', '/什么意思']);
  });

  it('chat: Ctrl-C on an empty line of a terminal ends it with exit code 130, Ctrl-D with none', async () => {
    const interrupted = start({ isTTY: true });
    interrupted.stdin.write('\x03');
    await assert.rejects(interrupted.ended, (error) => error instanceof CommandExit && error.exitCode === 130);

    const finished = start({ isTTY: true });
    await type(finished, '甲\r', 1);
    finished.stdin.write('\x04');
    await finished.ended;
    assert.deepEqual(finished.asked, ['甲']);
  });

  it('chat: Ctrl-C clears a line half typed', async () => {
    const conversation = start({ isTTY: true });
    conversation.stdin.write('甲乙丙\x1b[D\x03');
    await settle();
    await type(conversation, '丁\r', 1);
    assert.deepEqual(conversation.asked, ['丁']);
    conversation.stdin.write('\x04');
    await conversation.ended;
  });

  it('chat: Ctrl-C breaks off an answer, which is then no part of the history', async () => {
    let answers = 0;
    const conversation = start({
      isTTY: true,
      historyTurns: 1,
      answer: (prompt, signal) => (answers++ === 0 ? endlessAnswer(prompt, signal) : Promise.resolve('好')),
    });
    await type(conversation, '甲\r', 1);
    conversation.stdin.write('\x03');
    await settle();
    await type(conversation, '乙\r', 2);
    assert.deepEqual(conversation.asked, ['甲', '乙']);
    conversation.stdin.write('\x04');
    await conversation.ended;
  });

  it('chat: what is typed during an answer stays hidden, and is shown and asked after it', async () => {
    let finish: (text: string) => void = () => {};
    const conversation = start({
      isTTY: true,
      answer: (prompt) =>
        prompt === '甲'
          ? new Promise((resolve) => {
              finish = resolve;
            })
          : Promise.resolve('好'),
    });
    await type(conversation, '甲\r', 1);
    conversation.read(conversation.stdout);
    conversation.stdin.write('乙\r丙');
    await settle();
    assert.equal(conversation.read(conversation.stdout), '');
    finish('答');
    await type(conversation, '', 2);
    await settle();
    const shown = conversation.read(conversation.stdout);
    assert.ok(shown.startsWith('答\n> 乙\n好\n'), JSON.stringify(shown));
    assert.match(shown, /> 丙/);
    await type(conversation, '丁\r', 3);
    assert.deepEqual(conversation.asked, ['甲', '乙', '丙丁']);
    conversation.stdin.write('\x04');
    await conversation.ended;
  });

  it('chat: words of an input method go where the cursor is, and the line before can be had again', async () => {
    const conversation = start({ isTTY: true });
    await type(conversation, '它有什么用\x1b[D\x1b[D\x1b[D', 0);
    await type(conversation, '到底\r', 1);
    await settle();
    await type(conversation, '\x1b[A\x7f\r', 2);
    assert.deepEqual(conversation.asked, ['它有到底什么用', '它有到底什么']);
    conversation.stdin.write('\x04');
    await conversation.ended;
  });

  it('chat: a line wider than the terminal is edited on the rows it takes, two columns a character', async () => {
    const conversation = start({ isTTY: true });
    conversation.stdin.write('字'.repeat(45));
    await settle();
    conversation.read(conversation.stdout);
    conversation.stdin.write('\x01');
    await settle();
    // 2 columns of prompt and 39 characters fill the first row of 80; the cursor goes to the third column, one row up.
    const written = conversation.read(conversation.stdout);
    assert.ok(written.endsWith('\x1b[3G\x1b[1A'), JSON.stringify(written));
    conversation.stdin.write('\x05\r\x04');
    await conversation.ended;
    assert.deepEqual(conversation.asked, ['字'.repeat(45)]);
  });
});
