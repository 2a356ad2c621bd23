// Everything that a resumed run takes from its checkpoint is needed: leave out any one thing, and the run is refused or another.

import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { loadTraining } from '../../src/checkpoint/load.js';
import { saveCheckpoint } from '../../src/checkpoint/save.js';
import { createCorpus } from '../../src/data/corpus.js';
import type { NamedWeights } from '../../src/model/weights.js';
import type { EndEvent } from '../../src/trainer/events.js';
import type { TrainInputs } from '../../src/trainer/trainer.js';
import { runToEnd, temporaryFolder, testInputs } from '../helpers/run.js';
import { killAndResume } from './kill.js';
import { checkpointsOf, createProject, fingerprintOf, startTrain, trainToEnd } from './project.js';

const STOP_AT = 9;

/** Few rows, and a validation that contradicts them: the loss is lowest early, and patience ends the run after STOP_AT. */
function inputsFor(folder: string, resume: boolean): TrainInputs {
  const inputs = testInputs(folder, {
    workers: 1,
    resume,
    model: { n_layer: 1, n_embd: 32, dropout: 0.1 },
    training: { max_steps: 40, lr: 0.06, eval_interval: 2, early_stopping_patience: 5 },
  });
  const { validationRows: rows, tokenizer } = inputs;
  const few = rows.slice(0, 12);
  const exchanged = few.map((row, i) => ({ ...row, completion: rows[(i + 18) % rows.length].completion }));
  const corpusOf = (some: typeof few) => createCorpus(some, tokenizer, inputs.config.model.seqLen);
  return { ...inputs, train: corpusOf(few), validation: corpusOf(exchanged) };
}

let uninterrupted: { checkpoints: Record<string, string>; end: EndEvent };
let stopped: string;

before(async () => {
  const folder = temporaryFolder();
  const events = await runToEnd(inputsFor(folder, false));
  uninterrupted = { checkpoints: checkpointsOf(folder), end: events.at(-1) as EndEvent };
  stopped = temporaryFolder();
  await runToEnd(inputsFor(stopped, false), (event, { control }) => {
    if (event.type === 'step' && event.step === STOP_AT) control.stop();
  });
});

/** What becomes of the run when `change` is made to its last checkpoint before it is resumed. */
async function resumeAfter(change: (last: string) => void | Promise<void>): Promise<'same' | 'different' | 'refused'> {
  const folder = temporaryFolder();
  cpSync(stopped, folder, { recursive: true });
  await change(join(folder, 'last'));
  try {
    await runToEnd(inputsFor(folder, true));
  } catch (error) {
    assert.equal((error as Error).name, 'CheckpointError', (error as Error).message);
    return 'refused';
  }
  try {
    assert.deepEqual(checkpointsOf(folder), uninterrupted.checkpoints);
    return 'same';
  } catch {
    return 'different';
  }
}

test('resume: the run that the controls compare with has its best behind it and ends early', () => {
  const { reason, step } = uninterrupted.end;
  assert.equal(reason, 'early-stopping');
  const { best_step, evaluations_without_improvement } = stateOf(join(stopped, 'last'));
  assert.ok(step > STOP_AT, `ends at ${step}`);
  assert.ok((best_step as number) < STOP_AT && (evaluations_without_improvement as number) > 0);
});

test('resume: an untouched checkpoint gives the uninterrupted run, to the last bit of every file', async () => {
  assert.equal(await resumeAfter(() => {}), 'same');
});

type State = Record<string, unknown>;

/** Each field as it would be had nobody saved it, and what that leads to. */
const FORGOTTEN: [field: string, change: (state: State) => State, outcome: 'different' | 'refused'][] = [
  ['format_version', (s) => ({ ...s, format_version: 0 }), 'refused'],
  ['step', (s) => ({ ...s, step: 0 }), 'refused'],
  ['position', (s) => ({ ...s, position: 0 }), 'refused'],
  ['seed', (s) => ({ ...s, seed: 0 }), 'refused'],
  ['best_eval_loss', (s) => ({ ...s, best_eval_loss: null, best_step: null }), 'different'],
  ['best_step', (s) => ({ ...s, best_step: 0 }), 'different'],
  ['evaluations_without_improvement', (s) => ({ ...s, evaluations_without_improvement: 0 }), 'different'],
  ['data_fingerprint', (s) => ({ ...s, data_fingerprint: '' }), 'refused'],
  ['tokenizer_fingerprint', (s) => ({ ...s, tokenizer_fingerprint: '' }), 'refused'],
  ['model_sha256', (s) => ({ ...s, model_sha256: '' }), 'refused'],
  ['state_sha256', (s) => ({ ...s, state_sha256: '' }), 'refused'],
];

for (const [field, change, outcome] of FORGOTTEN) {
  test(`resume: without ${field} the run is ${outcome}, with a null or no value at all it is refused`, async () => {
    assert.equal(await resumeAfter((last) => writeState(last, change(stateOf(last)))), outcome);
    const { [field]: _, ...rest } = stateOf(join(stopped, 'last'));
    assert.equal(await resumeAfter((last) => writeState(last, rest)), 'refused');
    assert.equal(await resumeAfter((last) => writeState(last, { ...rest, [field]: null })), 'refused');
  });
}

/** config.json, each field forgotten in turn, of a run that ended with its last save: all it does is to end once more. */
const FORGOTTEN_INFO: Record<string, 'repeats its evaluation' | 'has no training loss' | 'refused'> = {
  format_version: 'refused',
  step: 'refused',
  vocab_size: 'refused',
  model: 'refused',
  train_loss: 'has no training loss',
  eval_loss: 'repeats its evaluation',
};
/** Settings: the run takes them from its own configuration, and compares. */
const SETTINGS = ['training', 'data', 'tokenizer', 'tfjs', 'engine', 'precision'];

test('resume: of config.json, too, every field is needed that a resumed run takes over', async () => {
  const folder = temporaryFolder();
  const options = { workers: 1, model: { n_layer: 1, n_embd: 32 }, training: { max_steps: 6, eval_interval: 4 } };
  await runToEnd(testInputs(folder, options));
  const path = join(folder, 'last/config.json');
  const info = JSON.parse(readFileSync(path, 'utf8')) as State;
  assert.deepEqual(Object.keys(info).sort(), [...Object.keys(FORGOTTEN_INFO), ...SETTINGS].sort());
  const resume = async () => {
    const events = await runToEnd(testInputs(folder, { ...options, resume: true })).catch((error: Error) => error);
    if (events instanceof Error) return events.name === 'CheckpointError' ? 'refused' : String(events);
    if (events.some(({ type }) => type === 'evaluation')) return 'repeats its evaluation';
    return (events.at(-1) as EndEvent).trainLoss === null ? 'has no training loss' : 'ends';
  };
  for (const [field, outcome] of Object.entries(FORGOTTEN_INFO)) {
    // What may be null is null before it is known.
    const forgotten = outcome === 'refused' ? undefined : null;
    writeFileSync(path, JSON.stringify({ ...info, [field]: forgotten }));
    assert.equal(await resume(), outcome, field);
    writeFileSync(path, JSON.stringify({ ...info, [field]: undefined }));
    assert.equal(await resume(), 'refused', `no ${field}`);
    writeFileSync(path, JSON.stringify(info));
    assert.equal(await resume(), 'ends', field);
  }
});

test('resume: no field of the state is missing from these controls', () => {
  const fields = FORGOTTEN.map(([field]) => field);
  // Its control needs a run that diverges: below.
  assert.deepEqual([...fields, 'non_finite_steps'].sort(), Object.keys(stateOf(join(stopped, 'last'))).sort());
});

test('resume: without non_finite_steps a run that diverges ends later', async () => {
  const inputs = (folder: string, resume: boolean) =>
    testInputs(folder, {
      workers: 1,
      resume,
      model: { n_layer: 1, n_embd: 32 },
      training: { lr: 1e18, warmup_steps: 0, grad_clip: 0, weight_decay: 0 },
    });
  const endOf = async (folder: string, resume: boolean, stopAt = 0) => {
    const events = await runToEnd(inputs(folder, resume), (event, { control }) => {
      if (event.type === 'step' && event.step === stopAt) control.stop();
    });
    const end = events.at(-1) as EndEvent;
    return `${end.reason} at ${end.step}`;
  };
  const whole = await endOf(temporaryFolder(), false);
  const step = Number(/^diverged at (\d+)$/.exec(whole)?.[1]);
  const folder = temporaryFolder();
  // One more step is under way when it is asked to stop.
  assert.equal(await endOf(folder, false, step - 2), `stopped at ${step - 1}`);
  const copy = temporaryFolder();
  cpSync(folder, copy, { recursive: true });
  assert.equal(await endOf(folder, true), whole);
  writeState(join(copy, 'last'), { ...stateOf(join(copy, 'last')), non_finite_steps: 0 });
  assert.equal(await endOf(copy, true), `diverged at ${step + 2}`);
});

/** Saved anew, so that the digests fit and nothing but the run itself can tell. */
const EXCHANGED: [what: string, part: 'tensors' | 'm' | 'v'][] = [
  ['weights', 'tensors'],
  ['first moments', 'm'],
  ['second moments', 'v'],
];

for (const [what, part] of EXCHANGED) {
  test(`resume: without the ${what} the run is different, and refused when the file was changed afterwards`, async () => {
    const withoutPart = async (last: string) => {
      const { checkpoint, state, m, v } = await loadTraining(last);
      const { info, tokenizerJson, tensors } = checkpoint;
      const parts = { tensors, m, v };
      parts[part] = zeroed(parts[part]);
      const training = { state, m: parts.m, v: parts.v };
      await saveCheckpoint(last, { info, tokenizerJson, tensors: parts.tensors, training });
    };
    assert.equal(await resumeAfter(withoutPart), 'different');
    const file = part === 'tensors' ? 'model.safetensors' : 'training/state.safetensors';
    assert.equal(await resumeAfter((last) => flipBit(join(last, file))), 'refused');
    assert.equal(await resumeAfter((last) => rmSync(join(last, file))), 'refused');
  });
}

test('resume: a changed setting that breaks the run is refused, one that changes it is told of, a neutral one is not', async () => {
  const resumeWith = (training: Record<string, unknown>, model: Record<string, unknown> = {}) => {
    const folder = temporaryFolder();
    cpSync(stopped, folder, { recursive: true });
    const inputs = testInputs(folder, {
      workers: 1,
      resume: true,
      model: { n_layer: 1, n_embd: 32, dropout: 0.1, ...model },
      training: { max_steps: 10, lr: 0.06, eval_interval: 2, early_stopping_patience: 5, ...training },
    });
    const { train, validation } = inputsFor(folder, true);
    return runToEnd({ ...inputs, train, validation });
  };
  await assert.rejects(resumeWith({ batch_size: 4 }), { message: /training\.batch_size \(8 then, 4 now\) changed/ });
  await assert.rejects(resumeWith({}, { n_head: 4 }), { message: /model\.n_head \(2 then, 4 now\) changed/ });
  const events = await resumeWith({ lr: 0.01, save_interval: 3, threads: 2 });
  const warnings = events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
  assert.deepEqual(warnings, [
    'not the same run any more; changed since it was saved: training.lr (0.06 then, 0.01 now), training.max_steps (40 then, 10 now)',
  ]);
});

test('resume: with nothing to resume no folder is made', async () => {
  const project = createProject();
  const { exitCode, stdout, stderr } = await startTrain(project, 'new', ['--resume']).ended;
  assert.deepEqual([exitCode, stdout], [2, '']);
  assert.match(stderr, /^CheckpointError: There is no checkpoint "new\/last"/);
  assert.equal(existsSync(join(project, 'new')), false);
});

test('resume: a run that was killed after its last save has nothing to do but to end; no evaluation is made twice', async () => {
  const folder = temporaryFolder();
  const options = { workers: 1, model: { n_layer: 1, n_embd: 32 }, training: { max_steps: 6, eval_interval: 4 } };
  const first = await runToEnd(testInputs(folder, options));
  const files = checkpointsOf(folder);
  const again = await runToEnd(testInputs(folder, { ...options, resume: true }));
  const kinds = again.map((event) => (event.type === 'checkpoint' ? event.kind : event.type));
  assert.deepEqual(kinds, ['start', 'quantized', 'end']);
  const figures = (events: typeof first) => {
    const { reason, step, trainLoss, lastEvalLoss, bestEvalLoss } = events.at(-1) as EndEvent;
    return { reason, step, trainLoss, lastEvalLoss, bestEvalLoss };
  };
  assert.deepEqual(figures(again), figures(first));
  assert.deepEqual(checkpointsOf(folder), files);
});

test('resume: a run killed at random moments ends in the same files and the same metrics', async () => {
  const project = createProject();
  await trainToEnd(project, 'whole');
  const expected = fingerprintOf(join(project, 'whole'));
  let kills = 0;
  for (const seed of [1, 2, 3]) {
    const run = await killAndResume(project, `killed-${seed}`, seed);
    kills += run.kills;
    assert.deepEqual(fingerprintOf(run.saveDir), expected, `seed ${seed}`);
  }
  assert.ok(kills >= 2, `${kills} kills`);
});

function stateOf(last: string): State {
  return JSON.parse(readFileSync(join(last, 'training/state.json'), 'utf8'));
}

function writeState(last: string, state: State): void {
  writeFileSync(join(last, 'training/state.json'), JSON.stringify(state));
}

function zeroed(tensors: NamedWeights): NamedWeights {
  return new Map(
    [...tensors].map(([name, tensor]) => [
      name,
      tensor.kind === 'f32' ? { ...tensor, data: new Float32Array(tensor.data.length) } : tensor,
    ]),
  );
}

/** In the last tensor's data. */
function flipBit(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length - 1] ^= 1;
  writeFileSync(path, bytes);
}
