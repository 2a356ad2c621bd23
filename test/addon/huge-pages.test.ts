// That memory comes in huge pages once they are asked for, where Linux has them for whoever asks.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { alignedBytes } from '../../src/addon/addon.js';

const SETTING = '/sys/kernel/mm/transparent_hugepage/enabled';

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

const hugeMb = () => Number(/AnonHugePages:\s+(\d+)/.exec(read('/proc/self/smaps_rollup'))?.[1] ?? 0) / 1024;

test('addon: large memory comes in huge pages', { skip: !read(SETTING).includes('[madvise]') }, () => {
  const before = hugeMb();
  const plain = new Uint8Array(64 << 20).fill(1);
  assert.equal(hugeMb(), before);
  const bytes = alignedBytes(64 << 20).fill(1);
  const grown = hugeMb() - before;
  assert.ok(grown >= 2 && grown <= 64, `${grown} MB of ${bytes.length + plain.length} bytes`);
});
