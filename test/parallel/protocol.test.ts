// The protocol of the workers in shared memory, in every order of its steps: two workers here, three in the torture run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Control, type Counter, Word } from '../../src/parallel/control.js';
import { explore, ProtocolError, touch } from '../helpers/interleavings.js';
import { exploreStep, exploreTasks } from './protocol.js';

test('protocol: two workers do a step in every order without a race, a deadlock or a lost micro-batch', () => {
  for (const isFused of [true, false]) {
    const { states } = exploreStep({ workers: 2, microBatches: 4, trouble: 'none', spins: 8, isFused });
    // Fewer would mean that some order was not looked at.
    assert.ok(states > (isFused ? 2000 : 4000), `${states} states`);
  }
});

test('protocol: a worker that throws or dies anywhere, and an abort at any moment, leave nobody behind and hide no change', () => {
  for (const trouble of ['throws', 'dies', 'aborted'] as const) {
    const { states } = exploreStep({ workers: 2, microBatches: 1, trouble });
    assert.ok(states > 1000, `${trouble}: ${states} states`);
  }
});

test('protocol: from whatever an aborted step left, the next one is done as from the start', () => {
  for (const isFused of [true, false]) {
    const tasks = exploreTasks({ workers: 2, microBatches: 1, trouble: 'dies', isFused });
    assert.ok(tasks > (isFused ? 2 : 3), `${tasks} beginnings`);
  }
});

/** The control words of a control; only tests reach for them. */
function wordsOf(control: Control): Int32Array {
  return (control as unknown as { words: Int32Array }).words;
}

class WrongOrder extends Control {
  override barrier(workers: number): void {
    const words = wordsOf(this);
    const generation = Atomics.load(words, Word.Generation);
    if (Atomics.add(words, Word.Arrived, 1) + 1 === workers) {
      Atomics.add(words, Word.Generation, 1);
      Atomics.store(words, Word.Arrived, 0);
      Atomics.notify(words, Word.Generation);
      return;
    }
    while (Atomics.load(words, Word.Generation) === generation) {
      if (Atomics.load(words, Word.Aborted) !== 0) throw new Error('aborted');
      Atomics.wait(words, Word.Generation, generation);
    }
  }
}

class WithoutWaking extends Control {
  override barrier(workers: number): void {
    const { notify } = Atomics;
    const silent = () => 0;
    Object.assign(Atomics, { notify: silent });
    try {
      super.barrier(workers);
    } finally {
      Object.assign(Atomics, { notify });
    }
  }
}

class ReadsGenerationLate extends Control {
  override barrier(workers: number): void {
    const words = wordsOf(this);
    if (Atomics.add(words, Word.Arrived, 1) + 1 === workers) {
      Atomics.store(words, Word.Arrived, 0);
      Atomics.add(words, Word.Generation, 1);
      Atomics.notify(words, Word.Generation);
      return;
    }
    const generation = Atomics.load(words, Word.Generation);
    while (Atomics.load(words, Word.Generation) === generation) Atomics.wait(words, Word.Generation, generation);
  }
}

class NoBarrier extends Control {
  override barrier(): void {}
}

class GivesTwice extends Control {
  override take(counter: Counter): number {
    const words = wordsOf(this);
    const number = Atomics.load(words, counter);
    Atomics.store(words, counter, number + 1);
    return number;
  }
}

class HidesUpdate extends Control {
  override beginUpdate(): void {}
}

const BROKEN: [what: string, broken: typeof Control, problem: RegExp][] = [
  ['the generation moves before the count is reset', WrongOrder, /sleep for ever|race for/],
  ['nobody is woken', WithoutWaking, /^thread [\d and]+ would sleep for ever/],
  ['the generation is read after the arrival', ReadsGenerationLate, /^thread [\d and]+ would sleep for ever/],
  ['there is no barrier', NoBarrier, /race for/],
  ['taking a number is not one step', GivesTwice, /race for (losses|grads)|handed out once/],
  ['a change is not announced', HidesUpdate, /^weights are being changed, and no word says so/],
];

for (const [what, broken, problem] of BROKEN) {
  test(`protocol: the checker sees it when ${what}`, () => {
    const createControl = (buffer: SharedArrayBuffer, spins: number) => new broken(buffer, spins);
    assert.throws(
      () => exploreStep({ workers: 2, microBatches: 2, trouble: 'none', createControl }),
      (error: unknown) => {
        assert.ok(error instanceof ProtocolError, String(error));
        assert.match(error.message, problem);
        // The way there, step by step.
        assert.match(error.message, /\n {2}thread \d /);
        return true;
      },
    );
  });
}

test('protocol: a barrier taken out of a step, whichever it is, is a race', () => {
  for (const missing of [1, 2, 3]) {
    const isFused = missing < 3; // In one pass there are two.
    class Gap extends Control {
      // The threads are run in turns from their beginnings, each with its barriers.
      private readonly passed = new Map<object, number>();
      override barrier(workers: number): void {
        const nth = (this.passed.get(this) ?? 0) + 1;
        this.passed.set(this, nth);
        if (nth !== missing) super.barrier(workers);
      }
    }
    const createControl = (buffer: SharedArrayBuffer, spins: number) => new Gap(buffer, spins);
    assert.throws(
      () => exploreStep({ workers: 2, microBatches: 2, trouble: 'none', isFused, createControl }),
      /race for/,
    );
  }
});

test('interleavings: counts the orders of two threads right', () => {
  // Two threads with two steps each on words of their own: places 0 to 2 in each, so 3 x 3 states and 2 x 2 x 3 steps.
  const words = new Int32Array(2);
  const thread = (word: number) => () => {
    Atomics.store(words, word, 1);
    Atomics.store(words, word, 2);
  };
  const { states, steps, ends } = explore({ threads: [thread(0), thread(1)], words: 2 });
  assert.deepEqual({ states, steps, ends }, { states: 9, steps: 12, ends: [[2, 2]] });
  // A lost update is one of the ends of two increments that are not one step each.
  const increment = () => {
    Atomics.store(words, 0, Atomics.load(words, 0) + 1);
  };
  const outcomes = explore({ threads: [increment, increment], words: 1 }).ends.map(([value]) => value);
  assert.deepEqual(outcomes.sort(), [1, 2]);
  assert.throws(() => explore({ threads: [() => touch([], ['x']), () => touch(['x'], [])], words: 1 }), /race for x/);
});
