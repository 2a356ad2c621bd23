// What kind of processor this is: its name, and the vector instructions it has as far as they matter to the kernels.

import { arch, cpus } from 'node:os';
import { type MachineSource, thisMachine } from './source.js';

/** As the system calls it, e.g. `AMD EPYC`; the architecture where it says nothing. */
export function cpuModel(source: MachineSource = thisMachine): string {
  const fromNode = cpus()[0]?.model.trim() ?? '';
  if (fromNode !== '' && fromNode !== 'unknown') return fromNode.replace(/\s+/g, ' ');
  const board = source.readText('/sys/firmware/devicetree/base/model')?.replaceAll('\0', '').trim();
  return board || arch();
}

/** Names as Linux spells them, slowest first. */
const FEATURES = [
  ...['avx', 'f16c', 'fma', 'avx2', 'avx_vnni', 'avx512f', 'avx512dq', 'avx512bw', 'avx512vl'],
  ...['avx512_vnni', 'avx512_bf16', 'avx512_fp16', 'amx_tile', 'amx_bf16', 'amx_int8'],
  ...['asimd', 'asimdhp', 'asimddp', 'sve', 'bf16', 'i8mm'],
];

/** On macOS: sysctl name -> the same feature on Linux. */
const APPLE_FEATURES: readonly [sysctl: string, feature: string][] = [
  ['hw.optional.avx1_0', 'avx'],
  ['hw.optional.f16c', 'f16c'],
  ['hw.optional.fma', 'fma'],
  ['hw.optional.avx2_0', 'avx2'],
  ['hw.optional.avx512f', 'avx512f'],
  ['hw.optional.avx512dq', 'avx512dq'],
  ['hw.optional.avx512bw', 'avx512bw'],
  ['hw.optional.avx512vl', 'avx512vl'],
  ['hw.optional.neon', 'asimd'],
  ['hw.optional.arm.FEAT_DotProd', 'asimddp'],
  ['hw.optional.arm.FEAT_BF16', 'bf16'],
  ['hw.optional.arm.FEAT_I8MM', 'i8mm'],
];

/** The vector instruction sets of this processor that are worth knowing; empty where the system doesn't tell. */
export function cpuFeatures(source: MachineSource = thisMachine): string[] {
  if (source.platform === 'darwin') {
    return APPLE_FEATURES.filter(([name]) => source.sysctl(name) === '1').map(([, feature]) => feature);
  }
  const list = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(source.readText('/proc/cpuinfo') ?? '')?.[1] ?? '';
  const present = new Set(list.split(' '));
  return FEATURES.filter((feature) => present.has(feature));
}
