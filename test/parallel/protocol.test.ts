// The protocol of the workers in shared memory, in every order of its steps: two workers here, three in the torture run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Control, type Counter, Word } from '../../src/parallel/control.js';
import { explore, ProtocolError, touch } from '../helpers/interleavings.js';
import { exploreSteps, exploreTasks, type Scenario } from './protocol.js';

test('protocol: two workers do a step in every order without a race, a deadlock or a lost micro-batch', () => {
  for (const isFused of [true, false]) {
    const { states } = exploreSteps({ workers: 2, microBatches: 4, trouble: 'none', spins: 8, isFused });
    // Fewer would mean that some order was not looked at.
    assert.ok(states > (isFused ? 5000 : 6000), `${states} states`);
  }
});

test('protocol: in a series of steps everybody goes on to the next one only when all is there, and done', () => {
  const { states } = exploreSteps({ workers: 2, microBatches: 1, steps: 3, trouble: 'none', coordinator: true });
  assert.ok(states > 50_000, `${states} states`);
});

test('protocol: a worker that throws or dies anywhere, and an abort at any moment, leave nobody behind and hide no change', () => {
  for (const trouble of ['throws', 'dies', 'aborted'] as const) {
    const { states } = exploreSteps({ workers: 2, microBatches: 1, steps: 2, trouble });
    assert.ok(states > 3000, `${trouble}: ${states} states`);
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
  override barrier(workers: number, action?: () => void): void {
    const words = wordsOf(this);
    const generation = Atomics.load(words, Word.Generation);
    if (Atomics.add(words, Word.Arrived, 1) + 1 === workers) {
      action?.();
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
  override barrier(workers: number, action?: () => void): void {
    const { notify } = Atomics;
    const silent = () => 0;
    Object.assign(Atomics, { notify: silent });
    try {
      super.barrier(workers, action);
    } finally {
      Object.assign(Atomics, { notify });
    }
  }
}

class ReadsGenerationLate extends Control {
  override barrier(workers: number, action?: () => void): void {
    const words = wordsOf(this);
    if (Atomics.add(words, Word.Arrived, 1) + 1 === workers) {
      action?.();
      Atomics.store(words, Word.Arrived, 0);
      Atomics.add(words, Word.Generation, 1);
      Atomics.notify(words, Word.Generation);
      return;
    }
    const generation = Atomics.load(words, Word.Generation);
    while (Atomics.load(words, Word.Generation) === generation) Atomics.wait(words, Word.Generation, generation);
  }
}

/** Nobody waits; only the end of a step is counted, so that it is no less wrong than that. */
class NoBarrier extends Control {
  override barrier(): void {}
  override finishStep(workers: number): void {
    const words = wordsOf(this);
    if (Atomics.add(words, Word.Arrived, 1) + 1 < workers) return;
    Atomics.store(words, Word.Arrived, 0);
    this.resetCounters();
    Atomics.add(words, Word.Finished, 1);
  }
}

/** Says that a step is finished before all have arrived. */
class FinishesEarly extends Control {
  override finishStep(workers: number): void {
    const words = wordsOf(this);
    if (Atomics.load(words, Word.Arrived) === 0) {
      Atomics.add(words, Word.Finished, 1);
      Atomics.notify(words, Word.Finished);
    }
    this.barrier(workers, () => this.resetCounters());
  }
}

/** Every worker has the counters start anew, also when a fast one takes of them already. */
class ResetsLate extends Control {
  override finishStep(workers: number): void {
    super.finishStep(workers);
    this.resetCounters();
  }
}

/** Leaves it to the next step to wake the coordinator, also when there is none. */
class FinishesSilently extends Control {
  override finishStep(workers: number): void {
    this.barrier(workers, () => {
      this.resetCounters();
      Atomics.add(wordsOf(this), Word.Finished, 1);
    });
  }
}

class PublishesSilently extends Control {
  override publish(): void {
    Atomics.add(wordsOf(this), Word.Published, 2);
  }
}

/** Leaves when it is told that no more will come, without doing what came before that. */
class LeavesEarly extends Control {
  override awaitStep(rank: number, done: number): boolean {
    return super.awaitStep(rank, done) && (Atomics.load(wordsOf(this), Word.Published) & 1) === 0;
  }
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

const ONE_STEP: Scenario = { workers: 2, microBatches: 2, trouble: 'none' };
const SERIES: Scenario = { ...ONE_STEP, steps: 2, coordinator: true };

const BROKEN: [what: string, broken: typeof Control, problem: RegExp, scenario?: Scenario][] = [
  ['the generation moves before the count is reset', WrongOrder, /sleep for ever|race for/],
  ['nobody is woken', WithoutWaking, /^thread [\d and]+ would sleep for ever/],
  ['the generation is read after the arrival', ReadsGenerationLate, /^thread [\d and]+ would sleep for ever/],
  ['there is no barrier', NoBarrier, /race for/, ONE_STEP],
  ['taking a number is not one step', GivesTwice, /race for (losses|grads)|wrote it once/, ONE_STEP],
  [
    'a step is finished for the coordinator before it is for the workers',
    FinishesEarly,
    /race for (losses|report|board)|finished once/,
  ],
  ['everybody resets the counters', ResetsLate, /race for|wrote it once|start from 0/],
  ['the coordinator is not woken by the last step', FinishesSilently, /^thread 2 would sleep for ever/],
  ['nobody is told of a new step', PublishesSilently, /^thread [\d and]+ would sleep for ever/],
  ['the end of a series hides its last step', LeavesEarly, /sleep for ever|finished once/],
  ['a change is not announced', HidesUpdate, /^weights are being changed, and no word says so/],
];

for (const [what, broken, problem, scenario = SERIES] of BROKEN) {
  test(`protocol: the checker sees it when ${what}`, () => {
    const createControl = (buffer: SharedArrayBuffer, spins: number) => new broken(buffer, spins);
    assert.throws(
      () => exploreSteps({ ...scenario, createControl }),
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
  for (const [isFused, last] of [
    [true, 3],
    [false, 4],
  ] as const) {
    for (let missing = 1; missing <= last; missing++) {
      class Gap extends Control {
        // The threads are run in turns from their beginnings, each with its barriers.
        private readonly passed = new Map<object, number>();
        override barrier(workers: number, action?: () => void): void {
          const nth = (this.passed.get(this) ?? 0) + 1;
          this.passed.set(this, nth);
          if (nth !== missing) super.barrier(workers, action);
          // Without its action no step would be finished.
          else if (missing === last) action?.();
        }
      }
      const createControl = (buffer: SharedArrayBuffer, spins: number) => new Gap(buffer, spins);
      // The last one is missed in the next step, whose weights may change before that is finished.
      const [steps, problem] = missing === last ? [2, /race for|no word says so/] : [1, /race for/];
      assert.throws(() => exploreSteps({ ...ONE_STEP, steps, isFused, createControl }), problem);
    }
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
