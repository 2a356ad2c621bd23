import assert from 'node:assert/strict';
import { test } from 'node:test';
import { largestCacheBytes } from '../../src/machine/cache.js';
import type { MachineSource } from '../../src/machine/source.js';

const linux = (sizes: Record<number, string>): MachineSource => ({
  platform: 'linux',
  readText: (path) => sizes[Number(/index(\d)\/size$/.exec(path)?.[1])] ?? null,
  sysctl: () => null,
});

test('cache: on Linux the largest that the first processor lists', () => {
  assert.equal(largestCacheBytes(linux({ 0: '32K\n', 1: '32K\n', 2: '512K\n', 3: '32768K\n' })), 32 * 2 ** 20);
  assert.equal(largestCacheBytes(linux({ 0: '64K\n', 2: '2M\n' })), 2 * 2 ** 20);
  assert.equal(largestCacheBytes(linux({})), null);
});

test('cache: on macOS by sysctl, where not every name is there', () => {
  const mac = (sizes: Record<string, string>): MachineSource => ({
    platform: 'darwin',
    readText: () => null,
    sysctl: (name) => sizes[name] ?? null,
  });
  assert.equal(
    largestCacheBytes(mac({ 'hw.perflevel0.l2cachesize': '12582912', 'hw.l2cachesize': '4194304' })),
    12_582_912,
  );
  assert.equal(largestCacheBytes(mac({})), null);
});
