// Counting cores from the files of a Linux kernel and from macOS's sysctl: machines we don't have, as text.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { availableCores, countCores, physicalCores } from '../../src/machine/cores.js';
import { cpuFeatures, cpuModel } from '../../src/machine/cpu.js';
import type { MachineSource } from '../../src/machine/source.js';

function linux(files: Record<string, string>): MachineSource {
  return { platform: 'linux', readText: (path) => files[path] ?? null, sysctl: () => null };
}

/** Two sockets of two cores of two threads; threads of a core are 4 apart, as Intel numbers them. */
const CPUINFO = Array.from(
  { length: 8 },
  (_, i) =>
    `processor\t: ${i}\nvendor_id\t: GenuineIntel\nphysical id\t: ${Math.floor((i % 4) / 2)}\ncore id\t\t: ${i % 2}\nflags\t\t: fpu avx fma avx2 avx512f`,
).join('\n\n');
const STATUS = 'Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n';

test('cores: two hardware threads of a core count once, cores of two sockets twice', () => {
  const cores = countCores(linux({ '/proc/cpuinfo': `${CPUINFO}\n\n`, '/proc/self/status': STATUS }));
  assert.deepEqual(cores, { physical: 4, logical: 8, usablePhysical: 4, usableLogical: 8, quota: null });
});

test('cores: only those that the affinity allows are usable', () => {
  const status = 'Cpus_allowed_list:\t0,4,6-7\n';
  const cores = countCores(linux({ '/proc/cpuinfo': CPUINFO, '/proc/self/status': status }));
  // 0 and 4 are one core, 6 and 7 two others.
  assert.deepEqual(cores, { physical: 4, logical: 8, usablePhysical: 3, usableLogical: 4, quota: null });
});

const quotas: [what: string, files: Record<string, string>, quota: number | null, usable: number][] = [
  ['version 2 in a container', { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '200000 100000\n' }, 2, 2],
  ['version 2 without a limit', { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': 'max 100000\n' }, null, 4],
  [
    'version 2, set on a parent',
    {
      '/proc/self/cgroup': '0::/user.slice/a.scope\n',
      '/sys/fs/cgroup/user.slice/a.scope/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/user.slice/cpu.max': '150000 100000\n',
    },
    1.5,
    1,
  ],
  [
    'version 2, less than one processor',
    { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '50000 100000\n' },
    0.5,
    1,
  ],
  [
    'version 1',
    {
      '/proc/self/cgroup': '4:memory:/x\n2:cpu,cpuacct:/docker/1\n0::/\n',
      '/sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us': '300000\n',
      '/sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us': '100000\n',
    },
    3,
    3,
  ],
  [
    'version 1 without a limit',
    {
      '/proc/self/cgroup': '1:cpu:/\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    },
    null,
    4,
  ],
];

for (const [what, files, quota, usable] of quotas) {
  test(`cores: respects a cgroup quota: ${what}`, () => {
    const cores = countCores(linux({ '/proc/cpuinfo': CPUINFO, '/proc/self/status': STATUS, ...files }));
    assert.equal(cores.quota, quota);
    assert.equal(cores.usablePhysical, usable);
  });
}

test('cores: where /proc/cpuinfo names no cores, as on ARM, each processor is one', () => {
  const cpuinfo =
    'processor\t: 0\nFeatures\t: fp asimd bf16\n\nprocessor\t: 1\nFeatures\t: fp asimd bf16\n\nHardware\t: x\n';
  assert.equal(countCores(linux({ '/proc/cpuinfo': cpuinfo })).physical, 2);
  assert.deepEqual(cpuFeatures(linux({ '/proc/cpuinfo': cpuinfo })), ['asimd', 'bf16']);
});

test('cores: asks sysctl on macOS', () => {
  const values: Record<string, string> = { 'hw.physicalcpu': '1', 'hw.logicalcpu': '1', 'hw.optional.neon': '1' };
  const mac: MachineSource = { platform: 'darwin', readText: () => null, sysctl: (name) => values[name] ?? null };
  assert.deepEqual(countCores(mac), { physical: 1, logical: 1, usablePhysical: 1, usableLogical: 1, quota: null });
  assert.deepEqual(cpuFeatures(mac), ['asimd']);
});

test('cpu: lists the vector instructions of /proc/cpuinfo and nothing else', () => {
  assert.deepEqual(cpuFeatures(linux({ '/proc/cpuinfo': CPUINFO })), ['avx', 'fma', 'avx2', 'avx512f']);
  assert.deepEqual(cpuFeatures(linux({})), []);
});

test('machine: this one has a name and a core to run on', () => {
  assert.ok(cpuModel().length > 0);
  assert.ok(physicalCores() >= 1);
  assert.ok(availableCores() >= physicalCores());
});
