import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadAddon } from '../../src/addon/addon.js';
import { knownPeak, loadPeak, savePeak } from '../../src/bench/stored-peak.js';
import { selectEngine } from '../../src/engine/select.js';
import { cpuModel } from '../../src/machine/cpu.js';
import { loadTuneResult, saveTuneResult, thisMachineWith } from '../../src/tune/stored.js';
import { temporaryFolder } from '../helpers/run.js';

const isa = loadAddon()!.isaVariants()[0];
const PEAK = { cpu: 'AMD EPYC', isa: 'avx2', fp32_gflops: 100, bf16_gflops: null, measured_at: '2026-11-24T11:00:00Z' };

test('stored peak: comes back for the same processor and instruction set, and for no other', () => {
  const path = join(temporaryFolder(), 'measured.json');
  assert.equal(loadPeak('AMD EPYC', 'avx2', path), null);
  savePeak(PEAK, false, path);
  savePeak({ ...PEAK, isa: 'plain', fp32_gflops: 50 }, false, path);
  assert.deepEqual(loadPeak('AMD EPYC', 'avx2', path), PEAK);
  assert.equal(loadPeak('AMD EPYC', 'plain', path)?.fp32_gflops, 50);
  assert.equal(loadPeak('Intel', 'avx2', path), null);
});

test('stored peak: a disturbed measurement replaces a lower one, and no higher one', () => {
  const path = join(temporaryFolder(), 'measured.json');
  savePeak(PEAK, true, path);
  savePeak({ ...PEAK, fp32_gflops: 90 }, true, path);
  assert.equal(loadPeak('AMD EPYC', 'avx2', path)?.fp32_gflops, 100);
  savePeak({ ...PEAK, fp32_gflops: 90 }, false, path);
  assert.equal(loadPeak('AMD EPYC', 'avx2', path)?.fp32_gflops, 90);
  savePeak({ ...PEAK, fp32_gflops: 95 }, true, path);
  assert.equal(loadPeak('AMD EPYC', 'avx2', path)?.fp32_gflops, 95);
});

test('stored peak: lies beside the result of a tuning, and neither loses the other', () => {
  const path = join(temporaryFolder(), 'measured.json');
  const machine = thisMachineWith(selectEngine('native', 'fp32'));
  const tuned = { machine, threads: 2, micro_batch: 4, tokens_per_sec: 1, measured_at: 'now' };
  savePeak(PEAK, false, path);
  saveTuneResult(tuned, path);
  savePeak({ ...PEAK, fp32_gflops: 101 }, false, path);
  assert.deepEqual(loadTuneResult(machine, path), tuned);
  assert.equal(loadPeak('AMD EPYC', 'avx2', path)?.fp32_gflops, 101);
});

test('stored peak: what is kept is what training goes by; else it is measured, and not kept', () => {
  const path = join(temporaryFolder(), 'measured.json');
  const selection = selectEngine('native', 'fp32');
  assert.ok(knownPeak(selection, path)! > 0.2);
  assert.ok(!existsSync(path));
  savePeak({ ...PEAK, cpu: cpuModel(), isa, fp32_gflops: 12_345 }, false, path);
  assert.equal(knownPeak(selection, path), 12_345);
});

test('stored peak: bf16 goes by the peak of bf16, and has none where it is emulated', () => {
  const path = join(temporaryFolder(), 'measured.json');
  savePeak({ ...PEAK, cpu: cpuModel(), isa, fp32_gflops: 100, bf16_gflops: 12_345 }, false, path);
  const bf16 = { engine: 'native', precision: 'bf16', notice: null } as const;
  assert.equal(knownPeak({ ...bf16, isa: 'avx512bf16' }, path), 12_345);
  for (const emulating of ['avx512', 'avx2', 'neon', 'plain']) {
    assert.equal(knownPeak({ ...bf16, isa: emulating }, path), null);
  }
});

test('stored peak: of a disturbed measurement only the precision that was higher is kept', () => {
  const path = join(temporaryFolder(), 'measured.json');
  savePeak({ ...PEAK, bf16_gflops: 190 }, false, path);
  const later = '2026-11-25T11:00:00Z';
  savePeak({ ...PEAK, fp32_gflops: 90, bf16_gflops: 180, measured_at: later }, true, path);
  assert.deepEqual(loadPeak('AMD EPYC', 'avx2', path), { ...PEAK, bf16_gflops: 190 });
  savePeak({ ...PEAK, fp32_gflops: 90, bf16_gflops: 200, measured_at: later }, true, path);
  assert.deepEqual(loadPeak('AMD EPYC', 'avx2', path), { ...PEAK, bf16_gflops: 200, measured_at: later });
});
