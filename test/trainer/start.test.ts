// Where a run begins: anew, at another one’s weights, or where it stopped; and what is refused.

import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TrainEvent } from '../../src/trainer/events.js';
import { evaluationsOf, runToEnd, stepsOf, temporaryFolder, testInputs } from '../helpers/run.js';

test('trainer: a fresh run says that it replaces an earlier one, a resumed one does not', async () => {
  const folder = temporaryFolder();
  const notices = async (resume: boolean, steps: number) => {
    const events = await runToEnd(testInputs(folder, { resume, training: { max_steps: steps } }));
    const told = events.filter((event) => event.type === 'notice').map(({ message }) => message);
    return told.filter((message) => message.startsWith('an earlier run'));
  };
  assert.deepEqual(await notices(false, 2), []);
  assert.deepEqual(await notices(true, 3), []);
  assert.deepEqual(await notices(false, 2), [
    `an earlier run lies in ${folder} and is replaced as this one saves; --resume would go on with it`,
  ]);
});

test('trainer: a resumed run tells the same losses as the uninterrupted one', async () => {
  const expected = await runToEnd(testInputs(temporaryFolder()));
  const folder = temporaryFolder();
  const before = await runToEnd(testInputs(folder), (event, { control }) => {
    if (event.type === 'step' && event.step === 14) control.stop();
  });
  const after = await runToEnd(testInputs(folder, { resume: true }));
  const losses = (events: TrainEvent[]) =>
    stepsOf(events).map(({ step, loss, gradNorm, lr }) => ({ step, loss, gradNorm, lr }));
  assert.deepEqual([...losses(before), ...losses(after)], losses(expected));
  const evaluations = (events: TrainEvent[]) =>
    evaluationsOf(events).map(({ step, evalLoss, bestEvalLoss, isBest }) => ({ step, evalLoss, bestEvalLoss, isBest }));
  assert.deepEqual([...evaluations(before), ...evaluations(after)], evaluations(expected));
});

test('trainer: other data, another tokenizer or another seed can’t be resumed, and the message says so', async () => {
  const folder = temporaryFolder();
  await runToEnd(testInputs(folder, { training: { max_steps: 4 } }));
  await assert.rejects(runToEnd(testInputs(folder, { resume: true, training: { seed: 7 } })), {
    name: 'CheckpointError',
    message: /training\.seed \(42 then, 7 now\) changed/,
  });
  const inputs = testInputs(folder, { resume: true });
  const otherData = { ...inputs.train, fingerprint: 'other' };
  await assert.rejects(runToEnd({ ...inputs, train: otherData }), { message: /the training data changed/ });
  const tokenizer = { ...inputs.tokenizer, fingerprint: 'other', vocabSize: inputs.tokenizer.vocabSize };
  await assert.rejects(runToEnd({ ...inputs, tokenizer }), {
    message: /the tokenizer changed since it was saved\.\n.* or start anew, without --resume\.$/,
  });
  await assert.rejects(runToEnd(testInputs(folder, { resume: true, training: { batch_size: 4 } })), {
    message:
      /training\.batch_size \(8 then, 4 now\) changed .* or start anew from\n {2}these weights: --set training\.init_from=/s,
  });
  await assert.rejects(runToEnd(testInputs(folder, { resume: true, model: { n_head: 4 } })), {
    message: /model\.n_head \(2 then, 4 now\) changed .* or start anew, without --resume\.$/s,
  });
});

test('trainer: init_from takes weights that mean the same, and refuses others of the same shape', async () => {
  const folder = temporaryFolder();
  await runToEnd(testInputs(folder, { training: { max_steps: 60 } }));
  const initFrom = join(folder, 'best');
  const from = (model: Record<string, unknown> = {}) =>
    testInputs(temporaryFolder(), { model, training: { init_from: initFrom, max_steps: 1 } });
  const [first] = stepsOf(await runToEnd(from()));
  // Random weights would give about the logarithm of the vocabulary.
  assert.ok(first.loss < Math.log(from().tokenizer.vocabSize) / 2, `${first.loss}`);
  await assert.rejects(runToEnd(from({ n_head: 4 })), {
    name: 'CheckpointError',
    message: /has 2 attention heads, and model\.n_head is 4: .*\n {2}Use --set model\.n_head=2/,
  });
  const inputs = from();
  const tokenizer = { ...inputs.tokenizer, fingerprint: 'other', vocabSize: inputs.tokenizer.vocabSize };
  await assert.rejects(runToEnd({ ...inputs, tokenizer }), {
    name: 'CheckpointError',
    message:
      /was trained with another tokenizer than .*\n {2}Use its own: --set tokenizer\.path=.*best\/tokenizer\.json/,
  });
});

test('trainer: a run resumed without its best weights ends all the same, and says what the int8 copy is made of', async () => {
  const folder = temporaryFolder();
  await runToEnd(testInputs(folder, { training: { max_steps: 20 } }));
  rmSync(join(folder, 'best'), { recursive: true });
  rmSync(join(folder, 'quantized'), { recursive: true });
  // Nothing that it learns any more makes a new best.
  const options = { resume: true, training: { max_steps: 22, lr: 1e-30, warmup_steps: 0 } };
  const events = await runToEnd(testInputs(folder, options));
  assert.equal(events.at(-1)!.type, 'end');
  const warnings = events.filter((event) => event.type === 'notice').map(({ message }) => message);
  assert.match(warnings.join('\n'), /int8 copy is made of the last weights, since the best ones can't be read: .*best/);
  assert.ok(existsSync(join(folder, 'quantized')));
});
