// The comparison of two precisions with made-up trials and a made-up clock: no machine takes part.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparePrecisions, timesAsFast } from '../../src/tune/precisions.js';
import type { Trial } from '../../src/tune/rounds.js';
import { TOKENS } from './made-up.js';

const SETTING = { threads: 2, microBatch: 4 };

interface World {
  now: number;
  readonly log: string[];
}

function trial(world: World, name: string, ms: number): () => Promise<Trial> {
  return async () => {
    world.log.push(`open ${name}`);
    return {
      async visit() {
        world.log.push(name);
        world.now += ms;
        return { ms, tokens: TOKENS, starved: 0 };
      },
      async close() {
        world.log.push(`close ${name}`);
      },
    };
  };
}

function compareIn(world: World, budgetMs: number, isCancelled = () => false) {
  return comparePrecisions({
    setting: SETTING,
    open: [trial(world, 'fp32', 170), trial(world, 'bf16', 100)],
    budgetMs,
    now: () => world.now,
    isCancelled,
  });
}

test('tune precisions: both take turns in the same rounds, there and back again, while the budget lasts', async () => {
  const world: World = { now: 0, log: [] };
  const comparison = await compareIn(world, 3 * 270);
  const visits = ['fp32', 'bf16', 'bf16', 'fp32', 'fp32', 'bf16'];
  assert.deepEqual(world.log, ['open fp32', 'open bf16', ...visits, 'close fp32', 'close bf16']);
  assert.deepEqual(
    comparison!.other.visits.map(({ round, ms }) => ({ round, ms })),
    [1, 2, 3].map((round) => ({ round, ms: 100 })),
  );
  assert.deepEqual([comparison!.present.setting, comparison!.other.setting], [SETTING, SETTING]);
  assert.deepEqual(timesAsFast(comparison!), { value: 1.7, error: 0 });
});

test('tune precisions: one round is measured whatever the budget, and no more than eight', async () => {
  const short = await compareIn({ now: 0, log: [] }, -5000);
  assert.equal(short!.other.visits.length, 1);
  assert.equal(timesAsFast(short!).error, Number.POSITIVE_INFINITY);
  const long = await compareIn({ now: 0, log: [] }, 3_600_000);
  assert.equal(long!.present.visits.length, 8);
});

test('tune precisions: without memory for both, or once it is cancelled, there is no comparison, and nothing stays open', async () => {
  const world: World = { now: 0, log: [] };
  const options = { setting: SETTING, budgetMs: 1000, now: () => world.now, isCancelled: () => false };
  assert.equal(await comparePrecisions({ ...options, open: [trial(world, 'fp32', 1), async () => null] }), null);
  assert.deepEqual(world.log, ['open fp32', 'close fp32']);
  const cancelled: World = { now: 0, log: [] };
  assert.equal(await compareIn(cancelled, 1000, () => cancelled.log.length > 1), null);
  assert.deepEqual(cancelled.log, ['open fp32', 'open bf16', 'close fp32', 'close bf16']);
});
