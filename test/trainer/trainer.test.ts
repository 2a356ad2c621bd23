import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadCheckpoint } from '../../src/checkpoint/load.js';
import { createInferenceEngine, selectEngine } from '../../src/engine/select.js';
import { physicalCores } from '../../src/machine/cores.js';
import { generate } from '../../src/sampling/generate.js';
import { DEFAULT_GENERATE_OPTIONS } from '../../src/sampling/options.js';
import { parseTokenizer } from '../../src/tokenizer/tokenizer.js';
import type { StartEvent } from '../../src/trainer/events.js';
import { startTraining } from '../../src/trainer/trainer.js';
import { relativeError } from '../helpers/parity.js';
import {
  evaluationsOf,
  ROWS,
  type RunOptions,
  runToEnd,
  stepsOf,
  temporaryFolder,
  testInputs,
} from '../helpers/run.js';

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
