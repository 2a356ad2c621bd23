// What one asks of a run while it goes on, and what it answers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TrainEvent } from '../../src/trainer/events.js';
import { startTraining } from '../../src/trainer/trainer.js';
import { evaluationsOf, ROWS, runToEnd, stepsOf, temporaryFolder, testInputs } from '../helpers/run.js';

test('trainer: evaluations that somebody asks for don’t end a run earlier', async () => {
  const inputs = () =>
    testInputs(temporaryFolder(), {
      training: { lr: 1e-12, warmup_steps: 0, max_steps: 1000, eval_interval: 6, early_stopping_patience: 3 },
    });
  const lastStep = (events: TrainEvent[]) => stepsOf(events).at(-1)!.step;
  const quiet = lastStep(await runToEnd(inputs()));
  const events = await runToEnd(inputs(), (event, { control }) => {
    if (event.type === 'step' && event.step % 6 === 2) control.evaluateNow();
  });
  assert.ok(evaluationsOf(events).length > quiet / 6 + 2, 'some were asked for');
  assert.equal(lastStep(events), quiet);
});

test('trainer: answers a question in mid-run with the present weights', async () => {
  const inputs = testInputs(temporaryFolder(), { training: { max_steps: 300 } });
  let answer: Promise<string> | null = null;
  await runToEnd(inputs, (event, run) => {
    if (event.type === 'step' && event.step === 290) answer = run.ask(ROWS[0].prompt);
  });
  assert.equal(await answer, ROWS[0].completion);
});

test('trainer: a paused run tells of a save as soon as it is on disk, and of what there is not to do', async () => {
  const inputs = testInputs(temporaryFolder(), { training: { max_steps: 1000 } });
  const told: string[] = [];
  await runToEnd(inputs, (event, { control }) => {
    if (event.type === 'step' && event.step === 5) {
      control.pause();
      control.saveNow();
    }
    if (!control.isPaused) return;
    // Nothing but the event before lets the run go on from here.
    if (event.type === 'checkpoint') {
      told.push(event.kind);
      control.saveNow();
    }
    if (event.type === 'notice') {
      told.push(event.message);
      if (told.length === 2) control.evaluateNow();
      else control.stop();
    }
    if (event.type === 'evaluation') {
      told.push('evaluation');
      control.evaluateNow();
    }
  });
  assert.deepEqual(told.filter((what) => what !== 'best').slice(0, 4), [
    'last',
    'there is nothing new to save',
    'evaluation',
    'this step is evaluated already',
  ]);
});

test('trainer: a paused run tells of a save that ends while somebody takes his time over an event', async () => {
  const run = startTraining(testInputs(temporaryFolder(), { training: { max_steps: 1000 } }));
  const kinds: string[] = [];
  for await (const event of run.events) {
    if (event.type === 'step' && event.step === 5) {
      run.control.pause();
      run.control.evaluateNow();
      run.control.saveNow();
    }
    if (event.type !== 'checkpoint') continue;
    kinds.push(event.kind);
    await new Promise((resolve) => setTimeout(resolve, 300));
    if (kinds.length === 2) run.control.stop();
  }
  assert.deepEqual(kinds.slice(0, 2).sort(), ['best', 'last']);
});

test('trainer: a save that fails ends a paused run at once', async () => {
  const inputs = {
    ...testInputs(temporaryFolder(), { training: { max_steps: 1000 } }),
    syncRecord: () => Promise.reject(new Error('no space')),
  };
  await assert.rejects(
    runToEnd(inputs, (event, { control }) => {
      if (event.type !== 'step' || event.step !== 5) return;
      control.pause();
      control.saveNow();
    }),
    /no space/,
  );
});

test('trainer: a question that comes when the run has ended is refused', async () => {
  const run = startTraining(testInputs(temporaryFolder(), { training: { max_steps: 1 } }));
  for await (const _ of run.events);
  await assert.rejects(run.ask('天空是什么颜色？'), { message: 'the run has ended' });
});
