// The kernels as the benchmark runs them give the right results: what is timed is what training does.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadAddon } from '../../src/addon/addon.js';
import { createOperands, type Kernel, type Operands, ROW_PADDING } from '../../src/bench/operands.js';

const addon = loadAddon()!;
/** Sums of up to 300 products of numbers below 0.5: f32 rounding errors add up to some 300 * 0.25 * 2^-24 = 4.5e-6. */
const TOLERANCE = 2e-5;

const EXACT = (x: number) => x;

/** The nearest bfloat16: 8 significant bits, ties to even. */
function rounded(x: number): number {
  if (x === 0) return 0;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(x))) - 7);
  const units = x / unit;
  const low = Math.floor(units);
  const isUp = units - low === 0.5 ? low % 2 !== 0 : units - low > 0.5;
  return (isUp ? low + 1 : low) * unit;
}

const PRODUCTS = [
  { precision: 'fp32', kernels: ['linear', 'linearBack', 'linearGrads'], of: EXACT },
  { precision: 'bf16', kernels: ['linearBf16', 'linearBackBf16', 'linearGradsBf16'], of: rounded },
] as const;

/** X (rows, K), Y (rows, N), W (N, K) as rows of float64 numbers. */
function matrices(operands: Operands, [rows, N, K]: readonly number[]) {
  const read = (i: number, count: number, length: number, stride: number) =>
    Array.from({ length: count }, (_, r) => Array.from(operands.operand(i).subarray(r * stride, r * stride + length)));
  return {
    X: read(0, rows, K, K + ROW_PADDING),
    Y: read(1, rows, N, N + ROW_PADDING),
    W: read(2, N, K, K),
  };
}

const sum = (length: number, term: (i: number) => number) =>
  Array.from({ length }, (_, i) => term(i)).reduce((a, b) => a + b, 0);

function assertClose(found: number[][], expected: (row: number, column: number) => number): void {
  found.forEach((line, r) => {
    line.forEach((value, c) => {
      const wanted = expected(r, c);
      assert.ok(Math.abs(value - wanted) <= TOLERANCE, `(${r}, ${c}): ${value}, expected ${wanted}`);
    });
  });
}

// One, odd, beside the widths of vectors and panels, and more rows than are packed at a time (256).
const SIZES = [
  [1, 1, 1],
  [7, 37, 20],
  [13, 64, 65],
  [300, 17, 9],
];

for (const isa of addon.isaVariants()) {
  describe(`measured kernels, ${isa}`, () => {
    for (const { precision, kernels, of } of PRODUCTS) {
      const [linear, linearBack, linearGrads] = kernels;
      for (const sizes of SIZES) {
        const [rows, N, K] = sizes;
        test(`operands: in ${precision} the products of ${rows} rows and a ${N} x ${K} matrix are right, packed first or not`, () => {
          for (const pack of [true, false]) {
            const product = (kernel: Kernel) => {
              const operands = createOperands(isa, kernel, sizes);
              if (!pack) operands.run(kernel, 1, true);
              const before = matrices(operands, sizes);
              operands.run(kernel, 2, pack);
              return { before, after: matrices(operands, sizes) };
            };
            const forward = product(linear);
            const { X, W } = forward.before;
            assertClose(forward.after.Y, (r, n) => sum(K, (k) => of(X[r][k]) * of(W[n][k])));
            const back = product(linearBack);
            const { Y } = back.before;
            assertClose(back.after.X, (r, k) => sum(N, (n) => of(Y[r][n]) * of(back.before.W[n][k])));
            const grads = product(linearGrads);
            const given = grads.before;
            assertClose(grads.after.W, (n, k) => sum(rows, (r) => of(given.Y[r][n]) * of(given.X[r][k])));
          }
        });
      }

      test(`operands: in ${precision} the panels stay as they were without packing, with it they follow the weights`, () => {
        const operands = createOperands(isa, linear, [3, 5, 4]);
        operands.run(linear, 1, true);
        const first = operands.operand(1)[0];
        operands.operand(2).fill(0);
        operands.run(linear, 1, false);
        assert.equal(operands.operand(1)[0], first);
        operands.run(linear, 1, true);
        assert.equal(operands.operand(1)[0], 0);
      });
    }

    test('operands: attention over sequences of one token gives back its value, and its gradient', () => {
      const [heads, hs, rows] = [2, 8, 3];
      const C = heads * hs;
      const operands = createOperands(isa, 'attention', [rows, 1, heads, hs]);
      operands.run('attention', 1, false);
      operands.run('attentionBack', 1, false);
      const [kv, o, dout, dq, dkv] = [1, 2, 4, 5, 6].map((i) => operands.operand(i));
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < C; c++) {
          const [atC, atKv] = [r * (C + ROW_PADDING) + c, r * (2 * C + ROW_PADDING) + c];
          assert.equal(o[atC], kv[atKv + C]);
          // One key has probability 1 (as computed back from its log-sum-exp, within 1e-6), whatever the query.
          assert.ok(Math.abs(dkv[atKv + C] - dout[atC]) < 1e-6);
          assert.ok(Math.abs(dq[atC]) < 1e-6 && Math.abs(dkv[atKv]) < 1e-6);
        }
      }
    });

    test('operands: RMSNorm gives rows of mean square 1 times the gain, and a gradient across the row', () => {
      const [rows, C] = [5, 33];
      const operands = createOperands(isa, 'norm', [rows, C]);
      operands.operand(2).fill(2);
      operands.operand(4).fill(0);
      operands.run('norm', 1, false);
      const stride = C + ROW_PADDING;
      const row = (i: number, r: number) => Array.from(operands.operand(i).subarray(r * stride, r * stride + C));
      for (let r = 0; r < rows; r++) {
        // eps is 1e-6 of a mean square of about 0.08.
        assert.ok(Math.abs(sum(C, (c) => row(1, r)[c] ** 2) / C - 4) < 1e-3);
      }
      operands.run('normBack', 1, false);
      for (let r = 0; r < rows; r++) {
        // y hardly changes when x grows along itself, so dx has hardly a part along x: gain^2 * C * eps / mean square = 0.0016,
        // where dx and x without the second term of the formula would give gain^2 * C = 132.
        const along = sum(C, (c) => row(0, r)[c] * row(4, r)[c]);
        assert.ok(Math.abs(along) < 3e-3, String(along));
      }
    });

    test('operands: reading sums every float, and triad is x + y * factor up to the last element', () => {
      const x = Float32Array.from({ length: 1003 }, (_, i) => i % 7);
      const y = Float32Array.from({ length: 1003 }, (_, i) => i % 5);
      assert.equal(
        addon.measureRead(isa, x),
        sum(1003, (i) => i % 7),
      );
      const out = new Float32Array(1003);
      addon.measureTriad(isa, out, x, y, 0.5);
      assert.deepEqual(
        out,
        x.map((value, i) => value + 0.5 * y[i]),
      );
    });
  });
}

test('operands: sizes that are none, and arenas that are too short, are refused', () => {
  const sizes = Int32Array.of(4, 4, 4, 1);
  const floats = addon.measureLayout(0, sizes).at(-1)!;
  const run = (kernel: number, of: Int32Array, arena: Float32Array) => () =>
    addon.measureRun('', kernel, of, true, 1, arena);
  const error = { code: 'ERR_LOOM_NATIVE' };
  assert.throws(run(0, sizes, new Float32Array(floats - 1)), error);
  assert.throws(run(10, sizes, new Float32Array(floats)), error);
  assert.throws(() => addon.measureLayout(0, Int32Array.of(0, 4, 4, 1)), error);
  assert.throws(() => addon.measureLayout(0, Int32Array.of(4, 4, 4)), error);
  assert.throws(() => addon.measureTriad('', new Float32Array(2), new Float32Array(2), new Float32Array(3), 1), error);
});
