import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logSumExp } from '../../src/engine/log-sum-exp.js';

test('log-sum-exp: agrees with arithmetic, does not overflow, is not finite for NaN and Infinity', () => {
  assert.ok(Math.abs(logSumExp(Float32Array.of(0, 0, 0, 0)) - Math.log(4)) < 1e-15);
  assert.equal(logSumExp(Float32Array.of(1000, Number.NEGATIVE_INFINITY)), 1000);
  assert.ok(Number.isNaN(logSumExp(Float32Array.of(1, Number.NaN))));
  assert.ok(!Number.isFinite(logSumExp(Float32Array.of(1, Number.POSITIVE_INFINITY))));
});
