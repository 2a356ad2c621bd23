import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { type Machine, measuredPath } from '../../src/tune/measured-file.js';
import { loadTuneResult, saveTuneResult } from '../../src/tune/stored.js';
import { temporaryFolder } from '../helpers/run.js';

const MACHINE: Machine = {
  cpu: 'AMD EPYC',
  physical: 2,
  logical: 4,
  usable_physical: 2,
  usable_logical: 4,
  engine: 'native',
  detail: 'AVX2',
  precision: 'fp32',
};
const RESULT = {
  machine: MACHINE,
  threads: 2,
  micro_batch: 4,
  tokens_per_sec: 9800.5,
  measured_at: '2024-11-24T11:00:00Z',
};

test('stored result: comes back for the same machine, and for no other', () => {
  const path = join(temporaryFolder(), 'deep/tune.json');
  assert.equal(loadTuneResult(MACHINE, path), null);
  saveTuneResult(RESULT, path);
  assert.deepEqual(loadTuneResult({ ...MACHINE }, path), RESULT);
  for (const other of [
    { cpu: 'Intel' },
    { physical: 4 },
    { usable_logical: 2 },
    { engine: 'tfjs' },
    { detail: 'AVX-512' },
  ]) {
    assert.equal(loadTuneResult({ ...MACHINE, ...other }, path), null, JSON.stringify(other));
  }
});

test('stored result: several machines share the file, a new result replaces the old one of its machine', () => {
  const path = join(temporaryFolder(), 'tune.json');
  const other = { ...RESULT, machine: { ...MACHINE, cpu: 'Intel' }, threads: 8 };
  saveTuneResult(RESULT, path);
  saveTuneResult(other, path);
  saveTuneResult({ ...RESULT, threads: 1 }, path);
  assert.equal(loadTuneResult(MACHINE, path)?.threads, 1);
  assert.equal(loadTuneResult(other.machine, path)?.threads, 8);
  assert.equal(JSON.parse(readFileSync(path, 'utf8')).results.length, 2);
});

test('stored result: a file that is damaged or of another version holds none, and is replaced', () => {
  const path = join(temporaryFolder(), 'tune.json');
  for (const text of ['{"format":1,"resu', '{"format":99,"results":[]}', '[]']) {
    writeFileSync(path, text);
    assert.equal(loadTuneResult(MACHINE, path), null);
  }
  saveTuneResult(RESULT, path);
  assert.deepEqual(loadTuneResult(MACHINE, path), RESULT);
});

test('stored result: lies in XDG_CACHE_HOME if that is absolute, else in ~/.cache', () => {
  assert.equal(measuredPath({ XDG_CACHE_HOME: '/var/cache/me' }), '/var/cache/me/gpt-loom/measured.json');
  for (const env of [{}, { XDG_CACHE_HOME: '' }, { XDG_CACHE_HOME: 'here' }]) {
    assert.ok(measuredPath(env).endsWith('/.cache/gpt-loom/measured.json'));
  }
});

test('stored result: a cache that can’t be written is an error that says what to do', () => {
  const path = join(temporaryFolder(), 'file/gpt-loom/measured.json');
  mkdirSync(dirname(dirname(dirname(path))), { recursive: true });
  writeFileSync(dirname(dirname(path)), 'a file where the folder should be');
  assert.throws(() => saveTuneResult(RESULT, path), {
    name: 'FileError',
    message: /set XDG_CACHE_HOME to one that is/,
  });
});
