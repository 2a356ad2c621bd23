import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Control, createControl } from '../../src/parallel/control.js';
import { createPool } from '../../src/parallel/pool.js';
import type { WorkerSetup } from '../../src/parallel/tasks.js';
import { temporaryFolder } from '../helpers/run.js';

/** Loads for a while, and counts when it has. */
const SLOW = `
import { workerData } from 'node:worker_threads';
for (const until = Date.now() + 300; Date.now() < until; );
Atomics.add(new Int32Array(workerData.loaded), 0, 1);
export default () => {};
`;

test('pool: threads that still load their modules are ended after that, not within', async () => {
  const entry = join(temporaryFolder(), 'slow.mjs');
  writeFileSync(entry, SLOW);
  const loaded = new SharedArrayBuffer(4);
  const setup = { loaded } as unknown as WorkerSetup;
  const pool = createPool({
    workers: 2,
    setup,
    control: new Control(createControl(2)),
    entry: pathToFileURL(entry).href,
  });
  await pool.close();
  assert.equal(new Int32Array(loaded)[0], 2);
});
