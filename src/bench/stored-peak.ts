// The peak of a core, kept for the machine and instruction set it was measured on: what training measures itself against.

import { loadAddon } from '../addon/addon.js';
import { chooseIsa } from '../engine/isa.js';
import { type EngineSelection, isEmulated } from '../engine/select.js';
import { cpuModel } from '../machine/cpu.js';
import { measuredPath, readMeasured, type StoredPeak, writeMeasured } from '../tune/measured-file.js';
import { glanceAtPeak } from './peak.js';

/**
 * GFLOPS of one core in the engine's precision: as `bench` has measured it, else measured now within moments and not kept; null
 * where it can't be had, as for a precision that the processor has no instructions for.
 */
export function knownPeak(selection: EngineSelection, path = measuredPath()): number | null {
  const addon = loadAddon();
  if (addon === null || isEmulated(selection)) return null;
  const { precision } = selection;
  const stored = loadPeak(cpuModel(), chooseIsa(addon), path);
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
  const kept = isDisturbed && before !== undefined ? higher(before, peak) : peak;
  writeMeasured({ results, peaks: [...peaks.filter((other) => !isSame(other, peak)), kept] }, path);
}

/** Of each precision the higher peak; dated by the newer one if any of its figures stays. */
function higher(before: StoredPeak, peak: StoredPeak): StoredPeak {
  const fp32 = Math.max(before.fp32_gflops, peak.fp32_gflops);
  const bf16 = Math.max(before.bf16_gflops ?? 0, peak.bf16_gflops ?? 0) || null;
  if (fp32 === before.fp32_gflops && bf16 === before.bf16_gflops) return before;
  return { ...peak, fp32_gflops: fp32, bf16_gflops: bf16 };
}

function isSame(a: Pick<StoredPeak, 'cpu' | 'isa'>, b: Pick<StoredPeak, 'cpu' | 'isa'>): boolean {
  return a.cpu === b.cpu && a.isa === b.isa;
}
