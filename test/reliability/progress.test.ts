// What a run remembers of its steps doesn't grow with their number.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProgress, recordStep } from '../../src/trainer/progress.js';
import { endEvent } from '../../src/trainer/report.js';

test('progress: after 5,000 steps it holds the times of the last 1,000, and the rate is that of all', () => {
  const progress = createProgress();
  for (let step = 1; step <= 5000; step++) recordStep(progress, step <= 4000 ? 10 : 20, 30);
  assert.equal(progress.stepTimes.length, 1000);
  const { medianStepMs, tokensPerSec, elapsedMs } = endEvent(progress, 'done');
  // 4,000 x 10 ms + 1,000 x 20 ms = 60 s; 150,000 tokens.
  assert.deepEqual(
    { medianStepMs, tokensPerSec, elapsedMs },
    { medianStepMs: 20, tokensPerSec: 2500, elapsedMs: 60_000 },
  );
});
