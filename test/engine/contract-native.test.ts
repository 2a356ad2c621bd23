// The contract, kept by the native engine. What is its own alone (instruction sets, bad arguments) is in native.test.ts.

import { selectEngine } from '../../src/engine/select.js';
import { describeContract } from './contract.js';

// Activations are rounded to 1/127 of the row's largest: about 0.4 % a layer.
describeContract(selectEngine('native', 'fp32'), { defaultModelSteps: 0, int8Error: 0.02 });
