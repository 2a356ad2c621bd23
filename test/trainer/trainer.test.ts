import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadCheckpoint } from '../../src/checkpoint/load.js';
import { createInferenceEngine, selectEngine } from '../../src/engine/select.js';
import { physicalCores } from '../../src/machine/cores.js';
import { generate } from '../../src/sampling/generate.js';
import { DEFAULT_GENERATE_OPTIONS } from '../../src/sampling/options.js';
import { parseTokenizer } from '../../src/tokenizer/tokenizer.js';
import type { EvaluationEvent, StartEvent, StepEvent, TrainEvent } from '../../src/trainer/events.js';
import { startTraining } from '../../src/trainer/trainer.js';
import { relativeError } from '../helpers/parity.js';
import { ROWS, type RunOptions, runToEnd, temporaryFolder, testInputs } from '../helpers/run.js';

const STATE_FILES = ['model.safetensors', 'training/state.safetensors'];

/** SHA-256 of weights and moments of the last checkpoint. */
function shaOf(saveDir: string): string {
  const hash = createHash('sha256');
  for (const file of STATE_FILES) hash.update(readFileSync(join(saveDir, 'last', file)));
  return hash.digest('hex');
}

async function shaAfter(options: RunOptions): Promise<string> {
  const folder = temporaryFolder();
  await runToEnd(testInputs(folder, options));
  return shaOf(folder);
}

const stepsOf = (events: TrainEvent[]) => events.filter((e): e is StepEvent => e.type === 'step');
const evaluationsOf = (events: TrainEvent[]) => events.filter((e): e is EvaluationEvent => e.type === 'evaluation');

async function weightsAfter(options: RunOptions): Promise<Float32Array> {
  const folder = temporaryFolder();
  await runToEnd(testInputs(folder, options));
  const { tensors } = await loadCheckpoint(join(folder, 'last'));
  return Float32Array.from([...tensors.values()].flatMap((tensor) => [...tensor.data]));
}

test('trainer: 1, 2, 3 and 4 workers give the same bits after 30 steps, with and without dropout', async () => {
  for (const dropout of [0, 0.1]) {
    const [first, ...others] = await Promise.all(
      [1, 2, 3, 4].map((workers) => shaAfter({ workers, model: { dropout } })),
    );
    for (const other of others) assert.equal(other, first);
  }
});

test('trainer: the peak of a run is that of as many cores as its workers have', async () => {
  for (const workers of [1, 3]) {
    const { events } = startTraining({ ...testInputs(temporaryFolder(), { workers }), corePeakGflops: 100 });
    const { value: start } = await events.next();
    await events.return();
    assert.equal((start as StartEvent).peakGflops, 100 * Math.min(workers, physicalCores()));
  }
});

test('trainer: changing the number of workers in mid-run, pausing and saving don’t change the bits', async () => {
  const expected = await shaAfter({});
  const folder = temporaryFolder();
  await runToEnd(testInputs(folder), (event, { control }) => {
    if (event.type !== 'step') return;
    if (event.step === 5) control.setWorkers(3);
    if (event.step === 12) control.saveNow();
    if (event.step === 14) control.evaluateNow();
    if (event.step === 20) {
      control.pause();
      setTimeout(() => control.resume(), 20);
    }
  });
  assert.equal(shaOf(folder), expected);
});

test('trainer: 8 x 1, 4 x 2 and 1 x 8 samples give the same weights up to rounding', async () => {
  const [whole, ...others] = await Promise.all(
    [8, 2, 1].map((microBatch) => weightsAfter({ training: { micro_batch: microBatch, max_steps: 5 } })),
  );
  for (const other of others) {
    const error = relativeError(other, whole);
    // Adam divides by the gradient's own size, which lets rounding of tiny gradients through: 5 steps of lr 3e-3.
    assert.ok(error < 1e-4, `relative error ${error}`);
  }
});

test('trainer: merging duplicates changes the weights by rounding alone', async () => {
  const [merged, apart] = await Promise.all(
    [true, false].map((merge) => weightsAfter({ training: { merge_duplicates: merge, max_steps: 5 } })),
  );
  assert.ok(relativeError(merged, apart) < 1e-4);
});

test('trainer: a run stopped anywhere and resumed ends in the same bits as one that wasn’t', async () => {
  for (const dropout of [0, 0.1]) {
    const expected = await shaAfter({ model: { dropout } });
    const folder = temporaryFolder();
    // The step after the one that is told is under way, unless something is due between them.
    for (const [stopAt, lastStep] of [
      [7, 8],
      [20, 20],
    ]) {
      const events = await runToEnd(
        testInputs(folder, { model: { dropout }, resume: stopAt > 7, workers: stopAt > 7 ? 1 : 3 }),
        (event, { control }) => {
          if (event.type === 'step' && event.step === stopAt) control.stop();
        },
      );
      const end = events.at(-1)!;
      assert.ok(end.type === 'end' && end.reason === 'stopped' && end.step === lastStep);
    }
    await runToEnd(testInputs(folder, { model: { dropout }, resume: true }));
    assert.equal(shaOf(folder), expected);
  }
});

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

test('trainer: the evaluation is the mean over the scored tokens of all rows, copies counted', async () => {
  const folder = temporaryFolder();
  const inputs = testInputs(folder, { training: { max_steps: 1, eval_interval: 1, lr: 1e-9, warmup_steps: 1 } });
  const [evaluation] = evaluationsOf(await runToEnd(inputs));
  // One step of 8 rows can't be compared, so: all rows as one batch, whose training loss is the same mean before any update.
  const all = testInputs(temporaryFolder(), {
    training: {
      batch_size: ROWS.length,
      micro_batch: 1,
      max_steps: 1,
      lr: 1e-9,
      warmup_steps: 1,
      merge_duplicates: false,
    },
  });
  const [step] = stepsOf(await runToEnd(all));
  assert.ok(Math.abs(evaluation.evalLoss - step.loss) < 1e-5, `${evaluation.evalLoss}, ${step.loss}`);
});

test('trainer: learns its rows, and last, best and quantized all answer them exactly', async () => {
  const folder = temporaryFolder();
  await runToEnd(testInputs(folder, { training: { max_steps: 300 } }));
  for (const kind of ['last', 'best', 'quantized']) {
    const { shape, tensors } = await loadCheckpoint(join(folder, kind));
    const tokenizer = parseTokenizer(readFileSync(join(folder, kind, 'tokenizer.json'), 'utf8'), kind);
    const engine = await createInferenceEngine(selectEngine('auto', 'fp32'), shape, tensors);
    let right = 0;
    for (const { prompt, completion } of ROWS) {
      for await (const event of generate(engine, tokenizer, prompt, DEFAULT_GENERATE_OPTIONS)) {
        if (event.type === 'end' && event.text === completion) right++;
      }
    }
    assert.equal(right, ROWS.length, kind);
  }
});

test('trainer: three steps in a row without a finite loss end the run, and what diverged is not saved', async () => {
  const folder = temporaryFolder();
  // A learning rate of 1e30 throws the weights out of range in the first step; every later loss is NaN.
  const inputs = testInputs(folder, { training: { lr: 1e30, warmup_steps: 0, max_steps: 20, grad_clip: 0 } });
  const events = await runToEnd(inputs);
  const end = events.at(-1)!;
  assert.ok(end.type === 'end' && end.reason === 'diverged');
  const isWhole = stepsOf(events).map((e) => Number.isFinite(e.loss) && Number.isFinite(e.gradNorm));
  assert.deepEqual(isWhole, [true, false, false, false]);
  for (const kind of ['last', 'best', 'quantized']) assert.equal(existsSync(join(folder, kind)), false, kind);
});

test('trainer: early stopping counts evaluations without a new best', async () => {
  const inputs = testInputs(temporaryFolder(), {
    training: { lr: 1e-12, warmup_steps: 0, max_steps: 1000, eval_interval: 2, early_stopping_patience: 3 },
  });
  const events = await runToEnd(inputs);
  const end = events.at(-1)!;
  assert.ok(end.type === 'end' && end.reason === 'early-stopping');
  const evaluations = evaluationsOf(events);
  const best = evaluations.findLastIndex((e) => e.isBest);
  assert.equal(evaluations.length, best + 1 + 3);
});

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
