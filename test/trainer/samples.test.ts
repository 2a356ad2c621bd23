// The answers after evaluations: whose turn it is, what time they may take, how long they may get.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTokenizer } from '../../src/tokenizer/tokenizer.js';
import { trainBpe } from '../../src/tokenizer/train.js';
import { SampleQuestions } from '../../src/trainer/samples.js';
import { createTableEngine, type TableEngine } from '../sampling/table-engine.js';

const ROWS = ['一', '二', '三'].map((prompt, i) => ({ prompt, completion: '不知道。', file: 'test', line: i + 1 }));
const tokenizer = createTokenizer(trainBpe(['用户:一二三', '助手:不知道。不知道。'], { vocabSize: 300 }));
const EXPECTED_TOKENS = tokenizer.encode('不知道。', { special: false }).length;

/** Says one token for ever, or, at first, `<eos>` at once. */
function saying(id: number): TableEngine {
  const next = () => Float32Array.from({ length: tokenizer.vocabSize }, (_, i) => (i === id ? 10 : 0));
  return createTableEngine({ vocabSize: tokenizer.vocabSize, next });
}

/** Every look at the clock finds it so much later. */
function questions(engine: TableEngine, msPerLook: number): SampleQuestions {
  let now = 0;
  return new SampleQuestions(ROWS, engine, tokenizer, () => {
    now += msPerLook;
    return now;
  });
}

const steps = async (samples: SampleQuestions, step: number, elapsedMs: number, isComplete = false) =>
  (await samples.ask({ step, elapsedMs, isComplete })).items.map((item) => item.step);

test('samples: all questions at first, then one in turn where an answer takes all the time there is', async () => {
  const samples = questions(saying(tokenizer.eosId), 15);
  assert.deepEqual(await steps(samples, 20, 1400), [20, 20, 20]);
  // 1 % of 1.4 s is less than the 15 ms of one answer.
  assert.deepEqual(await steps(samples, 40, 2800), [40, 20, 20]);
  assert.deepEqual(await steps(samples, 60, 4200), [40, 60, 20]);
  assert.deepEqual(await steps(samples, 80, 5600), [40, 60, 80]);
  assert.deepEqual(await steps(samples, 100, 7000), [100, 60, 80]);
});

test('samples: as many as the time since the last ones allows, and all when somebody wants them', async () => {
  const samples = questions(saying(tokenizer.eosId), 15);
  await steps(samples, 20, 1400);
  // 1 % of 3.1 s: two answers.
  assert.deepEqual(await steps(samples, 65, 4500), [65, 65, 20]);
  assert.deepEqual(await steps(samples, 70, 4600, true), [70, 70, 70]);
  // 1 % of 10 s.
  assert.deepEqual(await steps(samples, 200, 14_600), [200, 200, 200]);
});

test('samples: an answer that does not end is cut soon after the length of the expected one', async () => {
  const [id] = tokenizer.encode('不', { special: false });
  const engine = saying(id);
  await questions(engine, 15).ask({ step: 20, elapsedMs: 1400, isComplete: false });
  const perAnswer = engine.appends.length / ROWS.length;
  // The first token comes with the prompt.
  assert.equal(perAnswer, EXPECTED_TOKENS + 8);
});
