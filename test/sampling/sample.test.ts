import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { logSumExp } from '../../src/engine/log-sum-exp.js';
import { createRandom } from '../../src/random.js';
import type { SamplingOptions } from '../../src/sampling/options.js';
import { applyRepetitionPenalty, banTokens, nextTokenDistribution, sampleToken } from '../../src/sampling/sample.js';

const PLAIN: SamplingOptions = { temperature: 1, topK: 0, topP: 1 };
const GREEDY: SamplingOptions = { temperature: 0, topK: 0, topP: 1 };
/** softmax = these, up to rounding to f32. */
const logitsOf = (probabilities: readonly number[]) => Float32Array.from(probabilities, Math.log);
/** f32 logits have a relative error of 6e-8; those up to 5 in size move a probability by less than 1e-6 of itself. */
const CLOSE = 1e-6;

const someLogits = fc
  .array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: 1, maxLength: 300 })
  .map((values) => Float32Array.from(values));

function assertClose(got: Iterable<number>, expected: readonly number[]): void {
  const values = [...got];
  assert.equal(values.length, expected.length, `got ${values}, expected ${expected}`);
  for (const [i, value] of values.entries()) {
    assert.ok(
      Math.abs(value - expected[i]) <= CLOSE * expected[i],
      `index ${i}: got ${value}, expected ${expected[i]}`,
    );
  }
}

/** Pearson's statistic of `draws` against the expected probabilities. */
function chiSquare(draws: readonly number[], probabilities: readonly number[]): number {
  const counts = probabilities.map((_, id) => draws.filter((draw) => draw === id).length);
  return counts.reduce(
    (sum, count, id) => sum + (count - draws.length * probabilities[id]) ** 2 / (draws.length * probabilities[id]),
    0,
  );
}

/** Exceeded by chance once in a thousand, for 4 degrees of freedom (five outcomes). */
const CHI_SQUARE_LIMIT = 18.467;

fc.configureGlobal({ seed: 20_261_124 });

describe('repetition penalty', () => {
  it('penalty: divides positive logits, multiplies negative ones, leaves the rest', () => {
    const logits = Float32Array.of(3, -1.5, 0, 2, -4);
    applyRepetitionPenalty(logits, [0, 1, 2], 1.5);
    assert.deepEqual([...logits], [2, -2.25, 0, 2, -4]);
  });

  it('penalty: counts an id once however often it occurred', () => {
    const logits = Float32Array.of(8, 8);
    applyRepetitionPenalty(logits, [1, 1, 1], 2);
    assert.deepEqual([...logits], [8, 4]);
  });

  it('penalty: 1 changes nothing, below 1 makes repetition likelier', () => {
    const logits = Float32Array.of(4, -4);
    applyRepetitionPenalty(logits, [0, 1], 1);
    assert.deepEqual([...logits], [4, -4]);
    applyRepetitionPenalty(logits, [0, 1], 0.5);
    assert.deepEqual([...logits], [8, -2]);
  });

  it('penalty: the higher it is the less likely the token, whatever the logits', () => {
    fc.assert(
      fc.property(
        someLogits,
        fc.nat(),
        fc.double({ min: 1, max: 5 }),
        fc.double({ min: 1, max: 5 }),
        (logits, n, a, b) => {
          const id = n % logits.length;
          const after = (penalty: number) => {
            const copy = logits.slice();
            applyRepetitionPenalty(copy, [id], penalty);
            return Math.exp(copy[id] - logSumExp(copy));
          };
          const [low, high] = a < b ? [a, b] : [b, a];
          assert.ok(after(high) <= after(low) + 1e-12);
          assert.ok(after(low) <= after(1) + 1e-12);
        },
      ),
    );
  });
});

describe('distribution', () => {
  it('distribution: is the softmax when nothing is cut, in the order of the ids', () => {
    // exp(0), exp(1), exp(2) over their sum 1 + 2.718281828 + 7.389056099 = 11.107337927
    const { ids, probabilities } = nextTokenDistribution(Float32Array.of(0, 1, 2), PLAIN);
    assert.deepEqual([...ids], [0, 1, 2]);
    assertClose(probabilities, [0.0900305732, 0.2447284711, 0.6652409558]);
  });

  it('distribution: temperature raises the probabilities to the power 1/T', () => {
    // T = 0.5 squares: 0.04, 0.09, 0.25 over 0.38
    const { probabilities } = nextTokenDistribution(logitsOf([0.2, 0.3, 0.5]), { ...PLAIN, temperature: 0.5 });
    assertClose(probabilities, [0.04 / 0.38, 0.09 / 0.38, 0.25 / 0.38]);
  });

  it('distribution: top-k keeps the k likeliest and shares the rest among them', () => {
    const { ids, probabilities } = nextTokenDistribution(logitsOf([0.1, 0.4, 0.2, 0.3]), { ...PLAIN, topK: 2 });
    assert.deepEqual([...ids], [1, 3]);
    assertClose(probabilities, [4 / 7, 3 / 7]);
  });

  it('distribution: top-p keeps the smallest set that reaches p', () => {
    const logits = logitsOf([0.1, 0.4, 0.2, 0.3]);
    const kept = (topP: number) => [...nextTokenDistribution(logits, { ...PLAIN, topP }).ids];
    assert.deepEqual(kept(0.39), [1]);
    assert.deepEqual(kept(0.41), [1, 3]);
    assert.deepEqual(kept(0.69), [1, 3]);
    assert.deepEqual(kept(0.71), [1, 3, 2]);
    assert.deepEqual(kept(0.91), [1, 3, 2, 0]);
    // 2 of 4 equal tokens have exactly a half: that is enough.
    assert.deepEqual([...nextTokenDistribution(new Float32Array(4), { ...PLAIN, topP: 0.5 }).ids], [0, 1]);
    assertClose(nextTokenDistribution(logits, { ...PLAIN, topP: 0.6 }).probabilities, [4 / 7, 3 / 7]);
  });

  it('distribution: top-p is measured on what top-k has left', () => {
    // The top 2 have 4/7 = 0.571 and 3/7: 0.55 is reached by the first alone, though it has only 0.4 of the whole.
    const { ids } = nextTokenDistribution(logitsOf([0.1, 0.4, 0.2, 0.3]), { ...PLAIN, topK: 2, topP: 0.55 });
    assert.deepEqual([...ids], [1]);
  });

  it('distribution: temperature comes before top-p', () => {
    // T = 2 takes roots: 0.8, 0.2 become 2/3, 1/3, so 0.7 needs both.
    const { ids } = nextTokenDistribution(logitsOf([0.8, 0.2]), { temperature: 2, topK: 0, topP: 0.7 });
    assert.deepEqual([...ids], [0, 1]);
  });

  it('distribution: keeps lower ids where logits are equal', () => {
    const logits = new Float32Array(500).fill(1);
    assert.deepEqual([...nextTokenDistribution(logits, { ...PLAIN, topK: 3 }).ids], [0, 1, 2]);
    // 0.2 of 500 equal tokens: 100 of them, more than the first guess at a nucleus.
    const nucleus = nextTokenDistribution(logits, { ...PLAIN, topP: 0.2 - 1e-9 });
    assert.deepEqual(
      [...nucleus.ids],
      Array.from({ length: 100 }, (_, id) => id),
    );
  });

  it('distribution: huge logits and tiny temperatures stay finite', () => {
    const logits = Float32Array.of(3e38, -3e38, 2e38);
    assert.deepEqual([...nextTokenDistribution(logits, { ...PLAIN, temperature: 1e-300 }).probabilities], [1, 0, 0]);
  });

  it('distribution: top-k keeps min(k, V) tokens, none likelier left out, summing to 1', () => {
    fc.assert(
      fc.property(someLogits, fc.integer({ min: 1, max: 320 }), (logits, topK) => {
        const { ids, probabilities } = nextTokenDistribution(logits, { ...PLAIN, topK });
        assert.equal(ids.length, Math.min(topK, logits.length));
        assert.equal(new Set(ids).size, ids.length);
        const left = [...logits.keys()].filter((id) => !ids.includes(id));
        const worstKept = Math.min(...[...ids].map((id) => logits[id]));
        assert.ok(left.every((id) => logits[id] <= worstKept));
        assert.ok(Math.abs(probabilities.reduce((a, b) => a + b, 0) - 1) < 1e-9);
      }),
    );
  });

  it('distribution: top-p keeps at least one token, reaches p, and could not do with one fewer', () => {
    fc.assert(
      fc.property(someLogits, fc.double({ min: 1e-9, max: 0.999, noNaN: true }), (logits, topP) => {
        const { ids } = nextTokenDistribution(logits, { ...PLAIN, topP });
        const all = nextTokenDistribution(logits, PLAIN).probabilities;
        const massOf = (kept: Iterable<number>) => [...kept].reduce((sum, id) => sum + all[id], 0);
        assert.ok(ids.length >= 1);
        assert.ok(massOf(ids) >= topP - 1e-12);
        if (ids.length > 1) assert.ok(massOf(ids.slice(0, -1)) < topP + 1e-12);
        const sorted = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b);
        assert.deepEqual([...ids], sorted.slice(0, ids.length));
      }),
    );
  });

  it('distribution: does not change the logits', () => {
    const logits = Float32Array.of(1, 3, 2);
    nextTokenDistribution(logits, { temperature: 0.7, topK: 2, topP: 0.9 });
    assert.deepEqual([...logits], [1, 3, 2]);
  });
});

describe('sampleToken', () => {
  it('greedy: takes the largest logit, the lowest id among equals', () => {
    const random = createRandom(1);
    assert.equal(sampleToken(Float32Array.of(1, 5, 5, 2), GREEDY, random), 1);
    assert.equal(sampleToken(Float32Array.of(-7, -7), GREEDY, random), 0);
    assert.equal(
      sampleToken(Float32Array.of(-7, Number.NEGATIVE_INFINITY, -6), { ...GREEDY, topK: 1, topP: 0.1 }, random),
      2,
    );
  });

  it('greedy: draws nothing from the random generator', () => {
    const random = createRandom(1);
    const before = random.getState().slice();
    sampleToken(Float32Array.of(1, 2), GREEDY, random);
    assert.deepEqual(random.getState(), before);
  });

  const probabilities = [0.05, 0.4, 0.1, 0.3, 0.15];

  it('sampling: 20,000 draws follow the probabilities (chi-square)', () => {
    const random = createRandom(7);
    const draws = Array.from({ length: 20_000 }, () => sampleToken(logitsOf(probabilities), PLAIN, random));
    assert.ok(chiSquare(draws, probabilities) < CHI_SQUARE_LIMIT, `chi-square ${chiSquare(draws, probabilities)}`);
  });

  it('sampling: the first draws of 5,000 neighbouring seeds follow the probabilities (chi-square)', () => {
    const draws = Array.from({ length: 5000 }, (_, seed) =>
      sampleToken(logitsOf(probabilities), PLAIN, createRandom(seed)),
    );
    assert.ok(chiSquare(draws, probabilities) < CHI_SQUARE_LIMIT, `chi-square ${chiSquare(draws, probabilities)}`);
  });

  it('sampling: the statistic would notice a wrong distribution', () => {
    const random = createRandom(7);
    const draws = Array.from({ length: 20_000 }, () =>
      sampleToken(logitsOf(probabilities), { ...PLAIN, temperature: 1.1 }, random),
    );
    assert.ok(chiSquare(draws, probabilities) > CHI_SQUARE_LIMIT);
  });

  it('sampling: the same seed draws the same tokens, another seed others', () => {
    const drawWith = (seed: number) => {
      const random = createRandom(seed);
      return Array.from({ length: 50 }, () => sampleToken(logitsOf(probabilities), PLAIN, random)).join('');
    };
    assert.equal(drawWith(3), drawWith(3));
    assert.notEqual(drawWith(3), drawWith(4));
    assert.notEqual(drawWith(0), drawWith(2 ** 32 - 1));
  });

  it('sampling: never takes a banned token, whatever the cuts', () => {
    const cuts = fc.record({
      topK: fc.integer({ min: 0, max: 12 }),
      topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(someLogits, cuts, fc.nat(), (logits, cut, seed) => {
        const banned = [...logits.keys()].filter((id) => id % 2 === 1);
        banTokens(logits, banned);
        const id = sampleToken(logits, { temperature: 1.3, ...cut }, createRandom(seed));
        assert.equal(id % 2, 0);
        assert.equal(sampleToken(logits, GREEDY, createRandom(seed)) % 2, 0);
      }),
    );
  });

  it('sampling: says so when nothing can be drawn', () => {
    const logits = new Float32Array(3).fill(Number.NEGATIVE_INFINITY);
    for (const options of [GREEDY, PLAIN, { ...PLAIN, topK: 2 }]) {
      assert.throws(
        () => sampleToken(logits, options, createRandom(1)),
        new RangeError('sampling needs at least one finite logit, the largest of 3 is -Infinity'),
      );
    }
  });
});
