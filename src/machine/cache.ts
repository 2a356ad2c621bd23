// How much the processor's caches hold: what a measurement of the memory must be larger than.

import { type MachineSource, thisMachine } from './source.js';

/** Levels of cache that a processor may list: data and instructions apart on the first. */
const MOST_CACHES = 6;
const UNITS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** Bytes of the largest cache of the first processor, or null where the system doesn't tell. */
export function largestCacheBytes(source: MachineSource = thisMachine): number | null {
  const sizes = source.platform === 'darwin' ? appleSizes(source) : linuxSizes(source);
  const known = sizes.filter((bytes) => Number.isFinite(bytes) && bytes > 0);
  return known.length === 0 ? null : Math.max(...known);
}

function linuxSizes(source: MachineSource): number[] {
  return Array.from({ length: MOST_CACHES }, (_, i) => {
    const text = source.readText(`/sys/devices/system/cpu/cpu0/cache/index${i}/size`) ?? '';
    const [, number, unit] = /^(\d+)([KMG])\s*$/.exec(text) ?? [];
    return Number(number) * UNITS[unit];
  });
}

function appleSizes(source: MachineSource): number[] {
  return ['hw.l3cachesize', 'hw.perflevel0.l2cachesize', 'hw.l2cachesize'].map((name) => Number(source.sysctl(name)));
}
