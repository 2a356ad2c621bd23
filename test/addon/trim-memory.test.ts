// That freed memory goes back to the system. In a process of its own: what malloc does depends on all that came before.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const ADDON = new URL('../../src/addon/addon.js', import.meta.url).href;
/** 128 MB in pieces too small for pages of their own; the last stays in use, and malloc keeps what lies below it. */
const PROGRAM = `
  import { setTimeout as delay } from 'node:timers/promises';
  import { trimMemory } from '${ADDON}';
  const pieces = Array.from({ length: 2048 }, () => Buffer.alloc(65536, 1));
  pieces.splice(0, 2047);
  for (let i = 0; i < 5; i++) { gc(); await delay(50); }
  const before = process.memoryUsage().rss;
  trimMemory();
  console.log(Math.round((before - process.memoryUsage().rss) / 1e6), pieces.length);
`;

const report = process.report.getReport() as { header: { glibcVersionRuntime?: string } };

test('addon: gives freed memory back to the system', { skip: report.header.glibcVersionRuntime === undefined }, () => {
  const { stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '--eval', PROGRAM], {
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  assert.ok(Number.parseInt(stdout, 10) > 60, `${stdout.trim()} MB`);
});
