import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { encodePrompt } from '../../src/data/template.js';
import type { InferenceEngine } from '../../src/engine/engine.js';
import { DataError, NonFiniteError } from '../../src/errors.js';
import { type GenerateEndEvent, type GenerateEvent, generate } from '../../src/sampling/generate.js';
import { DEFAULT_GENERATE_OPTIONS, type GenerateOptions } from '../../src/sampling/options.js';
import { createTokenizer } from '../../src/tokenizer/tokenizer.js';
import { trainBpe } from '../../src/tokenizer/train.js';
import { createScriptEngine, createTableEngine } from './table-engine.js';

fc.configureGlobal({ seed: 20_261_124 });

const TEXTS = ['用户:什么是注意力机制？', '助手:注意力让模型看重要的词。', '注意力机制是什么？注意力。'];
const tokenizer = createTokenizer(trainBpe(TEXTS, { vocabSize: 300 }));
const V = tokenizer.vocabSize;
const PROMPT = '什么是注意力？';
const PREFIX = encodePrompt(tokenizer, PROMPT);
const plain = (text: string) => tokenizer.encode(text, { special: false });

async function run(engine: InferenceEngine, options: Partial<GenerateOptions> = {}): Promise<Answer> {
  const events: GenerateEvent[] = [];
  for await (const event of generate(engine, tokenizer, PROMPT, { ...DEFAULT_GENERATE_OPTIONS, ...options })) {
    events.push(event);
  }
  return {
    ids: events.flatMap((event) => (event.type === 'token' ? [event.id] : [])),
    probabilities: events.flatMap((event) => (event.type === 'token' ? [event.probability] : [])),
    pieces: events.flatMap((event) => (event.type === 'text' ? [event.text] : [])),
    end: events.at(-1) as GenerateEndEvent,
  };
}

interface Answer {
  readonly ids: number[];
  readonly probabilities: number[];
  readonly pieces: string[];
  readonly end: GenerateEndEvent;
}

/** Says these ids, then `<eos>`. */
const saying = (ids: readonly number[], options = {}) =>
  createScriptEngine(V, PREFIX.length, [...ids, tokenizer.eosId], options);

describe('generate', () => {
  it('generate: gives the framed prompt at once, then one token at a time, until <eos>', async () => {
    const ids = plain('注意力。');
    const engine = saying(ids);
    const { end, ids: got } = await run(engine);
    assert.deepEqual(engine.appends, [PREFIX, ...ids.map((id) => [id])]);
    assert.equal(PREFIX[0], tokenizer.bosId);
    assert.equal(PREFIX.at(-1), tokenizer.eosId);
    assert.deepEqual(got, ids);
    assert.equal(end.text, '注意力。');
    assert.equal(end.reason, 'eos');
    assert.equal(end.tokens, ids.length);
    assert.equal(end.promptTokens, PREFIX.length);
    assert.equal(end.decodedTokens, ids.length);
    assert.ok(end.prefillMs >= 0 && end.decodeMs > 0);
  });

  it('generate: a character split over tokens comes out whole', async () => {
    // No text taught 飞, 鸟 or 🐦: each is as many tokens as it has bytes.
    const ids = plain('飞鸟🐦');
    assert.equal(ids.length, 3 + 3 + 4);
    const { pieces } = await run(saying(ids));
    assert.deepEqual(pieces, ['飞', '鸟', '🐦']);
  });

  it('generate: an unfinished character at the end becomes U+FFFD', async () => {
    const { pieces, end } = await run(saying(plain('飞鸟').slice(0, -1)));
    assert.deepEqual(pieces, ['飞', '\uFFFD']);
    assert.equal(end.text, '飞\uFFFD');
  });

  it('generate: the pieces together are the text, which is what the tokenizer decodes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 4, max: V - 1 }), { minLength: 1, maxLength: 30 }), async (tail) => {
        // A first token without leading punctuation, so that nothing is trimmed.
        const ids = [...plain('好'), ...tail];
        const { pieces, end } = await run(saying(ids));
        assert.equal(end.text, tokenizer.decode(ids));
        assert.equal(pieces.join(''), end.text);
        assert.ok(pieces.every((piece) => piece !== ''));
      }),
    );
  });

  it('generate: leaves out punctuation and spaces in front', async () => {
    const { end, pieces } = await run(saying(plain(' ：。注意力。')));
    assert.equal(end.text, '注意力。');
    assert.equal(pieces.join(''), '注意力。');
  });

  it('generate: ends at max new tokens', async () => {
    const { end, ids } = await run(saying(plain('飞鸟飞鸟')), { maxNewTokens: 4 });
    assert.equal(end.reason, 'length');
    assert.equal(ids.length, 4);
    assert.equal(end.decodedTokens, 3);
    assert.equal(end.text, '飞\uFFFD');
  });

  it('generate: uses the whole sequence, then ends for lack of room', async () => {
    const seqLen = PREFIX.length + 3;
    // 3 tokens fit behind the prompt, and the full sequence still says what would come next.
    const { end, ids } = await run(saying(plain('飞鸟'), { seqLen }));
    assert.equal(end.reason, 'context');
    assert.deepEqual(ids, plain('飞鸟').slice(0, 4));
    const fitting = await run(saying(plain('飞'), { seqLen }));
    assert.equal(fitting.end.reason, 'eos');
    assert.equal(fitting.end.text, '飞');
  });

  it('generate: refuses a prompt that fills the sequence, naming tokens and limit', async () => {
    const seqLen = PREFIX.length;
    await assert.rejects(run(saying([], { seqLen })), (error) => {
      assert.ok(error instanceof DataError);
      assert.equal(
        error.message,
        `The prompt "${PROMPT}" is too long: ${seqLen} tokens with its frame.\n` +
          `  This model sees ${seqLen} tokens at once, prompt and answer together, so a prompt may have ${seqLen - 1} at most.\n` +
          '  Shorten the prompt, or train a model with a larger model.seq_len in config.yaml.',
      );
      return true;
    });
    assert.equal((await run(saying([], { seqLen: seqLen + 1 }), { minTokens: 0 })).end.reason, 'eos');
  });

  it('generate: ends before a stop string that lies across tokens, even in the middle of one', async () => {
    const ids = plain('注意力机制是什么');
    const { pieces, end } = await run(saying(ids), { stopStrings: ['力机'] });
    assert.equal(end.text, '注意');
    assert.equal(pieces.join(''), '注意');
    assert.equal(end.reason, 'stop');
    assert.ok(end.tokens < ids.length);
  });

  it('generate: shows held-back text when the answer ends without the stop string', async () => {
    const { pieces, end } = await run(saying(plain('飞鸟')), { stopStrings: ['飞鸟🐦'] });
    assert.deepEqual(pieces, ['飞鸟']);
    assert.equal(end.reason, 'eos');
  });

  it('generate: never produces <bos>, <pad> or <unk>, however likely', async () => {
    const { bosId, padId, unkId, eosId } = tokenizer;
    const [good] = plain('好');
    const engine = createTableEngine({
      vocabSize: V,
      next: (tokens) => {
        const logits = new Float32Array(V).fill(-50);
        for (const id of [bosId, padId, unkId]) logits[id] = 50;
        logits[tokens.length > PREFIX.length + 5 ? eosId : good] = 1;
        return logits;
      },
    });
    for (const temperature of [0, 2]) {
      const { ids } = await run(engine, { temperature });
      assert.deepEqual(ids, Array(6).fill(good));
    }
  });

  it('generate: <eos> cannot come before min tokens', async () => {
    const [good] = plain('好');
    const engine = createTableEngine({
      vocabSize: V,
      next: () => {
        const logits = new Float32Array(V);
        logits[tokenizer.eosId] = 9;
        logits[good] = 5;
        return logits;
      },
    });
    assert.deepEqual((await run(engine)).ids, [good]);
    assert.deepEqual((await run(engine, { minTokens: 0 })).ids, []);
    assert.deepEqual((await run(engine, { minTokens: 0 })).pieces, []);
    assert.deepEqual((await run(engine, { minTokens: 5 })).ids, Array(5).fill(good));
  });

  it('generate: the penalty looks at the last tokens of the answer only, and only at its window', async () => {
    const [a, b, c] = [10, 11, 12];
    const engine = createTableEngine({
      vocabSize: V,
      next: () => {
        const logits = new Float32Array(V).fill(-9);
        [logits[a], logits[b], logits[c]] = [4, 3, 2.5];
        return logits;
      },
    });
    const options = { maxNewTokens: 6, repetitionPenalty: 2 };
    // a: 4 -> 2, b: 3 -> 1.5, c: 2.5 -> 1.25. All three used, a is the likeliest again, for good.
    assert.deepEqual((await run(engine, options)).ids, [a, b, c, a, a, a]);
    // The window holds one token: a and b take turns.
    assert.deepEqual((await run(engine, { ...options, repetitionWindow: 1 })).ids, [a, b, a, b, a, b]);
    assert.deepEqual((await run(engine, { ...options, repetitionWindow: 0 })).ids, Array(6).fill(a));
    assert.deepEqual((await run(engine, { ...options, repetitionPenalty: 1 })).ids, Array(6).fill(a));
  });

  it('generate: tells what probability the model itself gave each token', async () => {
    // The token in turn has logit 10 among V - 1 zeros.
    const expected = Math.exp(10) / (Math.exp(10) + V - 1);
    const ids = plain('飞飞'); // Twice, so that the penalty has something to punish.
    for (const options of [{}, { temperature: 0.1, topK: 1, repetitionPenalty: 1.5 }]) {
      const { probabilities } = await run(saying(ids), options);
      assert.equal(probabilities.length, ids.length);
      for (const p of probabilities) assert.ok(Math.abs(p - expected) < 1e-12, `got ${p}, expected ${expected}`);
    }
  });

  it('generate: the same seed gives the same answer, another seed another one', async () => {
    const flat = createTableEngine({ vocabSize: V, next: () => new Float32Array(V) });
    const idsWith = async (seed: number) => (await run(flat, { temperature: 1, seed, maxNewTokens: 20 })).ids.join(' ');
    assert.equal(await idsWith(5), await idsWith(5));
    assert.notEqual(await idsWith(5), await idsWith(6));
  });

  it('generate: greedy answers do not depend on the seed', async () => {
    const engine = saying(plain('飞鸟'));
    assert.equal((await run(engine, { seed: 1 })).end.text, (await run(engine, { seed: 2 })).end.text);
  });

  it('generate: follows the probabilities of a Markov chain', async () => {
    // From A to B with 0.75 and back to A with 0.5, so A is met with 0.5 / (0.75 + 0.5) = 0.4 of the time.
    const [a, b] = [10, 11];
    const row = (toA: number, toB: number) => {
      const logits = new Float32Array(V).fill(Number.NEGATIVE_INFINITY);
      [logits[a], logits[b]] = [Math.log(toA), Math.log(toB)];
      return logits;
    };
    const engine = createTableEngine({
      vocabSize: V,
      seqLen: 6000,
      next: (tokens) => (tokens[tokens.length - 1] === b ? row(0.5, 0.5) : row(0.25, 0.75)),
    });
    const { ids } = await run(engine, { temperature: 1, seed: 11, maxNewTokens: 5000 });
    const share = ids.filter((id) => id === a).length / ids.length;
    // The chain forgets fast (its second eigenvalue is -0.25): standard error below 0.007, this is more than 3 of them.
    assert.ok(Math.abs(share - 0.4) < 0.022, `share of A ${share}`);
  });

  it('generate: stops with NonFiniteError at the first logits that are not finite', async () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const engine = createTableEngine({
        vocabSize: V,
        next: (tokens) => {
          const logits = new Float32Array(V);
          logits[10] = 3;
          if (tokens.length === PREFIX.length + 2) logits[200] = bad;
          return logits;
        },
      });
      await assert.rejects(run(engine), (error) => {
        assert.ok(error instanceof NonFiniteError);
        assert.match(error.message, /^The model's logits are not finite after 2 tokens of the answer\.\n/);
        return true;
      });
    }
  });

  it('generate: lets timers and signals through while it works', async () => {
    const engine = saying(Array(60).fill(10));
    let turns = 0;
    const tick = () => {
      turns++;
      pending = setImmediate(tick);
    };
    let pending = setImmediate(tick);
    await run(engine, { maxNewTokens: 50 });
    clearImmediate(pending);
    assert.ok(turns >= 49, `${turns} turns of the event loop`);
  });
});
