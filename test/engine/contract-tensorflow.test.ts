// The contract, kept by TensorFlow.js over TensorFlow's own library where tfjs-node is installed; where it isn't, what is said.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selectEngine } from '../../src/engine/select.js';
import { examineBackend } from '../../src/engine/tfjs-backend.js';
import { describeContract } from './contract.js';

const found = examineBackend('tensorflow');

if (found.isThere) {
  describeContract(selectEngine('tfjs', 'fp32', 'tensorflow'), { defaultModelSteps: 3, int8Error: 0 });
} else {
  test('tfjs (TensorFlow): where tfjs-node is missing, asking for it says why and names what can be used', () => {
    assert.throws(() => selectEngine('tfjs', 'fp32', 'tensorflow'), {
      name: 'EngineError',
      message:
        `the tfjs backend tensorflow can't be used: ${found.reason}.\n` +
        `  ${found.advice}\n` +
        '  Or use another: tfjs.backend: auto, wasm or cpu in config.yaml.',
    });
  });

  test('tfjs (TensorFlow): where tfjs-node is missing, auto takes wasm', () => {
    const selection = selectEngine('tfjs', 'auto');
    assert.deepEqual(selection, { engine: 'tfjs', backend: 'wasm', precision: 'fp32', notice: null });
  });
}
