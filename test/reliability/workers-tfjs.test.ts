// Workers of the TensorFlow.js engine that throw or die: replaced like the native ones, with the same bits. A process of its own:
// TensorFlow.js has one backend a process.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { prepareEngine, selectEngine } from '../../src/engine/select.js';
import { runToEnd, temporaryFolder, testInputs } from '../helpers/run.js';
import { withFault } from './faults.js';
import { checkpointsOf } from './project.js';

const selection = selectEngine('tfjs', 'fp32', 'wasm');

function inputsFor(folder: string) {
  const inputs = testInputs(folder, {
    workers: 2,
    model: { n_layer: 1, n_embd: 16, dropout: 0.1 },
    training: { max_steps: 6, eval_interval: 3, save_interval: 4 },
  });
  return { ...inputs, selection };
}

let expected: Record<string, string>;

before(async () => {
  await prepareEngine(selection);
  const folder = temporaryFolder();
  await runToEnd(inputsFor(folder));
  expected = checkpointsOf(folder);
});

for (const [kind, step, at, nth, remedy] of [
  ['throw', 2, 'backward', 1, 'done again'],
  // After the weights were changed.
  ['exit', 5, 'update', 2, 'computed again since the last copy'],
] as const) {
  test(`workers of tfjs: ${kind} (step ${step}, ${at}) is survived with the same bits, and named`, async () => {
    const folder = temporaryFolder();
    const events = await runToEnd(withFault(inputsFor(folder), { kind, task: 'steps', step, at, nth }));
    const warnings = events.flatMap((event) =>
      event.type === 'notice' && event.level === 'warning' ? [event.message] : [],
    );
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.match(warnings[0], new RegExp(`^worker \\d failed in step ${step}: `));
    assert.ok(warnings[0].includes(remedy), warnings[0]);
    assert.deepEqual(checkpointsOf(folder), expected);
  });
}
