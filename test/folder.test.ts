import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFolder } from '../src/folder.js';
import { temporaryFolder } from './helpers/run.js';

test('folder: creates all parents, and again without complaint', () => {
  const path = join(temporaryFolder(), 'a/b/c');
  makeFolder(path);
  makeFolder(path);
  assert.ok(existsSync(path));
});

test('folder: a parent that is a file, or a place where nothing can be created, throws at once', () => {
  const file = join(temporaryFolder(), 'file');
  writeFileSync(file, '');
  assert.throws(() => makeFolder(file), { code: 'EEXIST' });
  assert.throws(() => makeFolder(join(file, 'x')), { code: 'ENOTDIR' });
  if (process.platform === 'linux') assert.throws(() => makeFolder('/proc/nowhere/x'), { code: 'ENOENT' });
});
