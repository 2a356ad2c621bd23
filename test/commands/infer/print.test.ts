import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { CommandExit } from '../../../src/commands/exit.js';
import type { AnswerOptions } from '../../../src/commands/infer/flags.js';
import type { AnsweringModel } from '../../../src/commands/infer/model.js';
import { type Output, type OutputStream, printAnswers } from '../../../src/commands/infer/print.js';
import { encodePrompt } from '../../../src/data/template.js';
import type { InferenceEngine } from '../../../src/engine/engine.js';
import { DEFAULT_GENERATE_OPTIONS } from '../../../src/sampling/options.js';
import { createTokenizer } from '../../../src/tokenizer/tokenizer.js';
import { MIN_VOCAB_SIZE, trainBpe } from '../../../src/tokenizer/train.js';
import { createScriptEngine, createTableEngine } from '../../sampling/table-engine.js';

/** Every byte is a token. */
const tokenizer = createTokenizer(trainBpe([], { vocabSize: MIN_VOCAB_SIZE }));
const GREEDY: AnswerOptions = { ...DEFAULT_GENERATE_OPTIONS, seed: null, minConfidence: 0 };
const prefixLength = encodePrompt(tokenizer, '问一').length;

/** Answers `text` to every question of two characters. */
function modelSaying(text: string): AnsweringModel {
  const ids = [...tokenizer.encode(text, { special: false }), tokenizer.eosId];
  return { path: 'checkpoints/last', tokenizer, engine: createScriptEngine(tokenizer.vocabSize, prefixLength, ids) };
}

function modelOver(engine: InferenceEngine): AnsweringModel {
  return { path: 'checkpoints/last', tokenizer, engine };
}

interface Recorder extends OutputStream {
  readonly written: string[];
}

function recorder({ isTTY = false } = {}): Recorder {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk, _, done) {
      written.push(String(chunk));
      done();
    },
  });
  return Object.assign(stream, { written, isTTY });
}

function outputs(stdout = recorder(), signal = new AbortController().signal) {
  return { stdout, stderr: recorder(), signal } satisfies Output;
}

async function print(
  model: AnsweringModel,
  prompts: readonly string[],
  flags: Parameters<typeof printAnswers>[3] = {},
  options = GREEDY,
) {
  const output = outputs();
  await printAnswers(model, prompts, options, flags, output);
  return {
    stdout: output.stdout.written.join(''),
    stderr: output.stderr.written.join(''),
    pieces: output.stdout.written,
  };
}

describe('infer output', () => {
  it('infer output: one answer is streamed piece by piece and ends the line', async () => {
    const { pieces } = await print(modelSaying('注意。'), ['问一']);
    assert.deepEqual(
      pieces.filter((piece) => piece !== ''),
      ['注', '意', '。', '\n'],
    );
  });

  it('infer output: the label stands before the answer, even before an empty one', async () => {
    assert.equal((await print(modelSaying('好'), ['问一'], { showLabel: true })).stdout, '回答:好\n');
    assert.equal((await print(modelSaying('。'), ['问一'], { showLabel: true })).stdout, '回答:\n');
  });

  it('infer output: of several answers each has its question above it', async () => {
    const { stdout } = await print(modelSaying('好'), ['问一', '问二'], { showLabel: true });
    assert.equal(stdout, '> 问一\n回答:好\n\n> 问二\n回答:好\n');
  });

  it('infer output: speed goes to standard error, unless quiet', async () => {
    const { stderr } = await print(modelSaying('好'), ['问一']);
    assert.match(
      stderr,
      new RegExp(
        `^prompt ${prefixLength} tokens at [\\d,]+ tokens/s, answer 3 tokens at [\\d,]+ tokens/s \\(checkpoints/last\\)\n$`,
      ),
    );
    const several = await print(modelSaying('好'), ['问一', '问二']);
    assert.match(
      several.stderr,
      new RegExp(`^2 answers: prompt ${2 * prefixLength} tokens at .*, answer 6 tokens at `),
    );
    assert.equal((await print(modelSaying('好'), ['问一'], { quiet: true })).stderr, '');
  });

  it('infer output: says when an answer was cut off', async () => {
    const { stderr } = await print(modelSaying('好好'), ['问一'], {}, { ...GREEDY, maxNewTokens: 3 });
    assert.match(stderr, /^The answer was cut off after 3 tokens \(--max-new-tokens\)\.\n/);
  });

  it('infer output: --json gives one object a question and nothing else', async () => {
    const { stdout, stderr } = await print(modelSaying('好'), ['问一', '问二'], { json: true, showLabel: true });
    assert.equal(stderr, '');
    const objects = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      objects.map(({ timing, ...rest }) => rest),
      ['问一', '问二'].map((prompt) => ({
        prompt,
        answer: '好',
        reason: 'eos',
        tokens: 3,
        prompt_tokens: prefixLength,
        seed: null,
        checkpoint: 'checkpoints/last',
      })),
    );
    const { prefill_ms, decode_ms, prefill_tokens_per_sec, decode_tokens_per_sec } = objects[0].timing;
    // Both are rounded to thousandths; a prefill of this engine takes a few of them.
    assert.ok(prefill_ms >= 0 && decode_ms > 0);
    assert.ok(prefill_tokens_per_sec > 0 && decode_tokens_per_sec > 0);
  });

  it('infer output: the seed that --json tells gives the same answer again', async () => {
    const flat = modelOver(
      createTableEngine({ vocabSize: tokenizer.vocabSize, next: () => new Float32Array(tokenizer.vocabSize) }),
    );
    const warm = { ...GREEDY, temperature: 1 };
    const ask = async (seed: number | null) =>
      JSON.parse((await print(flat, ['问一'], { json: true }, { ...warm, seed })).stdout);
    const first = await ask(null);
    assert.ok(Number.isInteger(first.seed));
    assert.equal((await ask(first.seed)).answer, first.answer);
    assert.notEqual((await ask(null)).seed, first.seed); // 1 in 4 billion
  });

  it('infer output: a terminal gets no control characters, a file gets them all', async () => {
    for (const [isTTY, expected] of [
      [true, '好\uFFFD[31m\t\n！'],
      [false, '好\x1b[31m\t\n！'],
    ] as const) {
      const output = outputs(recorder({ isTTY }));
      await printAnswers(modelSaying('好\x1b[31m\t\n！'), ['问一'], GREEDY, {}, output);
      assert.equal(output.stdout.written.join(''), `${expected}\n`);
    }
  });

  it('infer output: breaks off between two tokens when interrupted, ends the line, and asks for exit code 130', async () => {
    const controller = new AbortController();
    const stdout = recorder();
    const output = outputs(stdout, controller.signal);
    const [good] = tokenizer.encode('a', { special: false });
    const endless = createScriptEngine(tokenizer.vocabSize, prefixLength, Array(50).fill(good));
    const running = printAnswers(modelOver(endless), ['问一', '问二'], { ...GREEDY, maxNewTokens: 50 }, {}, output);
    while (!stdout.written.includes('a')) await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    await assert.rejects(running, (error) => error instanceof CommandExit && error.exitCode === 130);
    assert.match(stdout.written.join(''), /^> 问一\na{1,5}\n$/);
  });

  it('infer output: waits for a reader that is slow', async () => {
    let waiting = 0;
    let most = 0;
    const stdout = new Writable({
      highWaterMark: 1,
      write(_, __, done) {
        setImmediate(done);
      },
    });
    const write = stdout.write.bind(stdout);
    stdout.write = (chunk: string) => {
      most = Math.max(most, ++waiting);
      return write(chunk, () => {
        waiting--;
      });
    };
    await printAnswers(modelSaying('a'.repeat(30)), ['问一'], GREEDY, {}, { ...outputs(), stdout });
    assert.ok(most <= 2, `${most} pieces waited at once`);
  });

  /** Says 好 (3 bytes) and the end, each with probability p. */
  function modelSure(p: number): AnsweringModel {
    const ids = [...tokenizer.encode('好', { special: false }), tokenizer.eosId];
    // softmax of one logit x among zeros: e^x / (e^x + V - 1)
    const logit = Math.log((p * (tokenizer.vocabSize - 1)) / (1 - p));
    return modelOver(createScriptEngine(tokenizer.vocabSize, prefixLength, ids, { logit }));
  }

  it('infer output: --confidence shows mean, lowest and every token on standard error', async () => {
    const { stdout, stderr } = await print(modelSure(0.75), ['问一'], { confidence: true, quiet: true });
    assert.equal(stdout, '好\n');
    assert.equal(stderr, 'confidence 0.75, lowest 0.75\n  \\xE5 0.75  \\xA5 0.75  \\xBD 0.75\n');
  });

  it('infer output: --confidence is a field of --json', async () => {
    const { stdout } = await print(modelSure(0.75), ['问一'], { confidence: true, json: true });
    const [first, ...rest] = tokenizer.encode('好', { special: false });
    const object = JSON.parse(stdout);
    assert.deepEqual(object.confidence, {
      mean: 0.75,
      min: 0.75,
      tokens: [
        { id: first, token: '\\xE5', probability: 0.75 },
        { id: rest[0], token: '\\xA5', probability: 0.75 },
        { id: rest[1], token: '\\xBD', probability: 0.75 },
      ],
    });
    assert.equal('withheld' in object, false);
  });

  it('infer output: below --min-confidence the answer is 不知道。, said at once, and the reason is told', async () => {
    const careful = { ...GREEDY, minConfidence: 0.8 };
    const withheld = await print(modelSure(0.75), ['问一'], { showLabel: true }, careful);
    assert.equal(withheld.stdout, '回答:不知道。\n');
    assert.match(
      withheld.stderr,
      /^The model's answer was withheld: it has a confidence of 0\.75, 0\.8 is needed \(--min-confidence\)\.\n/,
    );
    const given = await print(modelSure(0.85), ['问一'], { quiet: true }, careful);
    assert.deepEqual([given.stdout, given.stderr], ['好\n', '']);
    assert.ok(given.pieces.includes('好'));
  });

  it('infer output: --json has the refusal as answer and the withheld one beside it', async () => {
    const answer = async (p: number) => {
      const { stdout } = await print(modelSure(p), ['问一'], { json: true }, { ...GREEDY, minConfidence: 0.8 });
      return JSON.parse(stdout);
    };
    const { answer: said, withheld } = await answer(0.75);
    assert.deepEqual([said, withheld], ['不知道。', '好']);
    const sure = await answer(0.85);
    assert.deepEqual([sure.answer, sure.withheld], ['好', null]);
  });
});
