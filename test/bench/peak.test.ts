import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadAddon } from '../../src/addon/addon.js';
import { glanceAtPeak, measureCorePeak } from '../../src/bench/peak.js';

const addon = loadAddon()!;

/** FLOPs of one round: 2 a multiply-add, by lanes of a vector and sums kept in registers (6 rows times NV of vec.h). */
const FLOPS_A_ROUND: Record<string, number> = {
  avx512bf16: 2 * 16 * 24,
  avx512: 2 * 16 * 24,
  avx2: 2 * 8 * 12,
  neon: 2 * 4 * 24,
  plain: 2 * 4 * (process.arch === 'arm64' ? 24 : 12),
};

for (const isa of addon.isaVariants()) {
  test(`peak: ${isa} counts the multiply-adds of all lanes and chains, and really does them`, () => {
    assert.equal(addon.measurePeak(isa, false, 1000), 1000 * FLOPS_A_ROUND[isa]);
    const gflops = measureCorePeak(addon, { isa, precision: 'fp32', rounds: 5, roundMs: 1 })!;
    // Left out by the compiler it would look like thousands; the slowest machine that runs Node does more than 0.2.
    assert.ok(gflops > 0.2 && gflops < 1000, `${gflops} GFLOPS`);
  });

  test(`peak: ${isa} has one for bfloat16, of twice as many FLOPs a round, exactly if it has such instructions`, () => {
    const expected = isa === 'avx512bf16' ? 2 * 1000 * FLOPS_A_ROUND[isa] : null;
    assert.equal(addon.measurePeak(isa, true, 1000), expected);
    const gflops = measureCorePeak(addon, { isa, precision: 'bf16', rounds: 5, roundMs: 1 });
    if (expected === null) assert.equal(gflops, null);
    else assert.ok(gflops! > 0.2 && gflops! < 4000, `${gflops} GFLOPS`);
  });
}

test('peak: the glance before a training takes less than 60 ms when it is not disturbed', () => {
  const times = Array.from({ length: 5 }, () => {
    const started = performance.now();
    assert.ok(glanceAtPeak('fp32')! > 0.2);
    return performance.now() - started;
  });
  assert.ok(Math.min(...times) < 60, times.join(', '));
});

test('peak: an instruction set that is not there is an error', () => {
  assert.throws(() => addon.measurePeak('mmx', false, 1), { code: 'ERR_LOOM_NATIVE' });
});
