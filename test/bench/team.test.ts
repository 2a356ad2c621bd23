import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadAddon } from '../../src/addon/addon.js';
import { createMember } from '../../src/bench/member.js';
import { openTeam } from '../../src/bench/team.js';
import { createControl } from '../../src/parallel/control.js';

const isa = loadAddon()!.isaVariants()[0];

test('member: reads its memory part after part, and moves three arrays a triad', () => {
  const setup = { isa, control: createControl(0), memory: new SharedArrayBuffer(12 * 1000) };
  const member = createMember({ ...setup, rank: 0, ranks: 1 });
  assert.deepEqual(
    member({ job: { kind: 'read', parts: 1, repeats: 2 }, threads: 1 }).map(({ amount }) => amount),
    [12_000, 12_000],
  );
  assert.deepEqual(
    member({ job: { kind: 'triad', parts: 4, repeats: 2 }, threads: 1 }).map(({ amount }) => amount),
    [3000, 3000],
  );
  const floats = new Float32Array(setup.memory);
  // Filled with 1, and the first half of the first third then 1 + 1 * 0.5.
  assert.deepEqual([floats[0], floats[499], floats[500], floats[2999]], [1.5, 1.5, 1, 1]);
});

test('team: two threads work on all of the memory together, and one alone as well', async () => {
  const team = await openTeam({ threads: 2, isa, memoryBytes: 1_200_000 });
  try {
    for (const threads of [1, 2]) {
      for (const kind of ['read', 'triad'] as const) {
        // Cached or not, memory moves at more than 0.05 and less than 5,000 GB/s.
        const rate = (await team.run({ kind, parts: 2, repeats: 3 }, threads)) / 1e6;
        assert.ok(rate > 0.05 && rate < 5000, `${kind} by ${threads}: ${rate} GB/s`);
      }
      const gflops = (await team.run({ kind: 'peak', precision: 'fp32', count: 10_000, repeats: 3 }, threads)) / 1e6;
      assert.ok(gflops > 0.1 && gflops < 2000, `${gflops} GFLOPS by ${threads}`);
    }
  } finally {
    await team.close();
  }
});

test('team: an instruction set that is not there is an error, not a wait without end', async () => {
  const team = await openTeam({ threads: 2, isa: 'mmx', memoryBytes: 1200 });
  await assert.rejects(team.run({ kind: 'read', parts: 1, repeats: 1 }, 2), /instruction set/);
  await team.close();
});
