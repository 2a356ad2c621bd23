// The contract, kept by TensorFlow.js in WebAssembly.

import { selectEngine } from '../../src/engine/select.js';
import { describeContract } from './contract.js';

describeContract(selectEngine('tfjs', 'fp32', 'wasm'), { defaultModelSteps: 2, int8Error: 0 });
