// The peak of a core, kept for the machine and instruction set it was measured on: what training measures itself against.

import { loadAddon } from '../addon/addon.js';
import { cpuModel } from '../machine/cpu.js';
import { measuredPath, readMeasured, type StoredPeak, writeMeasured } from '../tune/measured-file.js';
import { glanceAtPeak } from './peak.js';
import type { Precision } from './report.js';

/** GFLOPS of one core: as `bench` has measured it, else measured now within moments and not kept; null where it can't be had. */
export function knownPeak(precision: Precision, path = measuredPath()): number | null {
  const isa = loadAddon()?.isaVariants()[0];
  if (isa === undefined) return null;
  const stored = loadPeak(cpuModel(), isa, path);
  return (precision === 'fp32' ? stored?.fp32_gflops : stored?.bf16_gflops) ?? glanceAtPeak(precision);
}

export function loadPeak(cpu: string, isa: string, path = measuredPath()): StoredPeak | null {
  return readMeasured(path).peaks.find((peak) => isSame(peak, { cpu, isa })) ?? null;
}

/**
 * Keeps the peak, or leaves a higher one from before when this measurement was disturbed: what slows a measurement down can
 * only make the peak look lower than it is. Throws FileError.
 */
export function savePeak(peak: StoredPeak, isDisturbed: boolean, path = measuredPath()): void {
  const { results, peaks } = readMeasured(path);
  const before = peaks.find((other) => isSame(other, peak));
  if (isDisturbed && before !== undefined && before.fp32_gflops >= peak.fp32_gflops) return;
  writeMeasured({ results, peaks: [...peaks.filter((other) => !isSame(other, peak)), peak] }, path);
}

function isSame(a: Pick<StoredPeak, 'cpu' | 'isa'>, b: Pick<StoredPeak, 'cpu' | 'isa'>): boolean {
  return a.cpu === b.cpu && a.isa === b.isa;
}
