import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import type { CorpusViews } from '../../src/data/corpus.js';
import { createDataOrder } from '../../src/data/order.js';
import { createLightest } from '../../src/parallel/lightest.js';
import { batchCapacity, createPacker, planCapacity } from '../../src/parallel/pack.js';
import { planEvaluation, planStep } from '../../src/parallel/plan.js';
import { createRandom } from '../../src/random.js';

/** Samples of the given lengths; the first `prompt` rows of each aren't scored. Token = 100 * sample + place. */
function corpusOf(lengths: number[], distinctOf = lengths.map((_, i) => i), prompt = 2): CorpusViews {
  const starts = [0];
  for (const length of lengths) starts.push(starts[starts.length - 1] + length);
  const tokens = lengths.flatMap((length, i) => Array.from({ length }, (_, j) => 100 * i + j));
  return {
    buffers: null as never,
    count: lengths.length,
    tokens: Int32Array.from(tokens),
    targets: Int32Array.from(tokens, (t) => t + 1),
    starts: Int32Array.from(starts),
    firstScoredRow: new Int32Array(lengths.length).fill(prompt),
    distinctOf: Int32Array.from(distinctOf),
  };
}

const groupsOf = ({ starts, samples }: ReturnType<typeof planStep>) =>
  Array.from({ length: starts.length - 1 }, (_, k) => [...samples.subarray(starts[k], starts[k + 1])]);

test('plan: longest sample first, each to the lightest micro-batch', () => {
  const plan = planStep([0, 1, 2, 3], corpusOf([10, 4, 7, 5]), { microBatches: 2, mergeDuplicates: false });
  // 10 -> A; 7 -> B; 5 -> B (7 < 10); 4 -> A (10 < 12).
  assert.deepEqual(groupsOf(plan), [
    [0, 1],
    [2, 3],
  ]);
  assert.equal(plan.tokens, 26);
  assert.equal(plan.scoredTokens, 18);
});

test('plan: copies are computed once and counted', () => {
  const corpus = corpusOf([6, 4, 6, 4], [0, 1, 0, 1]);
  const plan = planStep([2, 0, 3, 2], corpus, { microBatches: 2, mergeDuplicates: true });
  assert.deepEqual(groupsOf(plan), [[0], [1]]);
  assert.deepEqual([...plan.copies], [3, 1]);
  assert.deepEqual([plan.tokens, plan.computedTokens, plan.scoredTokens], [22, 10, 14]);
});

test('plan: the micro-batch with the most work comes first, that with the least beside it', () => {
  const lengths = [9, 8, 7, 6];
  const work = [10, 40, 20, 30];
  const plan = planStep([0, 1, 2, 3], corpusOf(lengths), {
    microBatches: 4,
    mergeDuplicates: false,
    workOf: (sample) => work[sample],
  });
  assert.deepEqual(groupsOf(plan), [[1], [0], [3], [2]]);
  const three = planStep([0, 1, 2], corpusOf(lengths), {
    microBatches: 3,
    mergeDuplicates: false,
    workOf: (sample) => work[sample],
  });
  assert.deepEqual(groupsOf(three), [[1], [0], [2]]);
});

test('plan: micro-batches that would be empty are left out', () => {
  const plan = planStep([0, 0, 0], corpusOf([5]), { microBatches: 4, mergeDuplicates: true });
  assert.deepEqual(groupsOf(plan), [[0]]);
});

test('plan: the evaluation has every distinct sample once, with the weight of its copies', () => {
  const corpus = corpusOf([5, 8, 5, 6, 8, 5], [0, 1, 0, 3, 1, 0]);
  const plan = planEvaluation(corpus, 10);
  assert.deepEqual([...plan.samples].sort(), [0, 1, 3]);
  const copies = new Map([...plan.samples].map((sample, i) => [sample, plan.copies[i]]));
  assert.deepEqual(
    copies,
    new Map(
      [
        [0, 3],
        [1, 2],
        [3, 1],
      ].map(([a, b]) => [a, b] as const),
    ),
  );
  assert.equal(plan.scoredTokens, 3 * 3 + 2 * 6 + 4);
  assert.equal(plan.starts.length - 1, 2); // 19 distinct tokens in chunks of about 10
});

test('pack: a micro-batch has its samples one after the other, without padding, scored rows weighted', () => {
  const corpus = corpusOf([4, 3, 5]);
  const plan = {
    starts: Int32Array.of(0, 2),
    samples: Int32Array.of(2, 1),
    keys: Int32Array.of(7, 9),
    copies: Int32Array.of(1, 2),
  };
  const batch = createPacker({ rows: 8, scored: 8, sequences: 2 })(corpus, plan, 0, 1, 0.5);
  assert.deepEqual([...batch.tokens], [200, 201, 202, 203, 204, 100, 101, 102]);
  assert.deepEqual([...batch.seqStarts], [0, 5, 8]);
  assert.deepEqual([...batch.sampleKeys], [7, 9]);
  assert.deepEqual([...batch.scoredRows], [2, 3, 4, 7]);
  assert.deepEqual([...batch.targets], [203, 204, 205, 103]);
  assert.deepEqual([...batch.weights], [0.5, 0.5, 0.5, 1]);
});

test('pack: two micro-batches at a time are the one behind the other', () => {
  const corpus = corpusOf([4, 3, 5]);
  const plan = planStep([0, 1, 2], corpus, { microBatches: 2, mergeDuplicates: false });
  const pack = createPacker({ rows: 12, scored: 12, sequences: 3 });
  const tokens = [0, 1].flatMap((k) => [...pack(corpus, plan, k, 1, 1).tokens]);
  assert.deepEqual([...pack(corpus, plan, 0, 2, 1).tokens], tokens);
  assert.equal(pack(corpus, plan, 0, 2, 1).seqStarts.length, 4);
});

test('pack: a small corpus, whose samples come several times in a batch, does not outgrow the capacity either', () => {
  for (const lengths of [[90], [120, 3, 4], [50, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]]) {
    const corpus = corpusOf(lengths);
    const order = createDataOrder({ samples: lengths.length, batchSize: 16, seed: 1, shuffle: true });
    for (const microBatches of [1, 2, 4, 16]) {
      const capacity = batchCapacity(corpus, 16, microBatches);
      for (let step = 1; step <= 200; step++) {
        const plan = planStep(order.batch(step), corpus, { microBatches, mergeDuplicates: false });
        const needed = planCapacity(plan, corpus);
        assert.ok(needed.rows <= capacity.rows, `${needed.rows} rows, capacity ${capacity.rows}`);
        assert.ok(needed.sequences <= capacity.sequences);
      }
    }
  }
});

test('plan: the next sample always goes to the group with the fewest tokens, of equals to the first', () => {
  const random = createRandom(5);
  const loads = new Array<number>(37).fill(0);
  const lightest = createLightest(loads.length);
  for (let i = 0; i < 2000; i++) {
    const expected = loads.indexOf(Math.min(...loads));
    const load = uniformInt(random, 1, 4);
    assert.equal(lightest.add(load), expected);
    loads[expected] += load;
  }
});

test('plan: an evaluation may have hundreds of thousands of chunks', () => {
  const corpus = corpusOf(new Array<number>(400_000).fill(2), undefined, 1);
  const plan = planEvaluation(corpus, 4);
  assert.equal(plan.starts.length, 200_001);
  assert.equal(plan.longestMicroBatch, 4);
});

test('pack: no batch of the corpus outgrows the capacity, whatever samples meet', () => {
  const lengths = [120, 3, 4, 90, 5, 5, 60, 8, 100, 3, 3, 3, 77, 50];
  const corpus = corpusOf(lengths);
  for (const microBatches of [1, 2, 4, 8]) {
    const capacity = batchCapacity(corpus, 8, microBatches);
    for (let shift = 0; shift < lengths.length; shift++) {
      const batch = Array.from({ length: 8 }, (_, i) => (shift + i * 5) % lengths.length);
      const needed = planCapacity(planStep(batch, corpus, { microBatches, mergeDuplicates: false }), corpus);
      assert.ok(needed.rows <= capacity.rows, `${needed.rows} rows, capacity ${capacity.rows}`);
      assert.ok(needed.sequences <= capacity.sequences);
    }
  }
});
