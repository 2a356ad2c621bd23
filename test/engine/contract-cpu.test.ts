// The contract, kept by TensorFlow.js in plain JavaScript: too slow for more than the tiny model.

import { selectEngine } from '../../src/engine/select.js';
import { describeContract } from './contract.js';

describeContract(selectEngine('tfjs', 'fp32', 'cpu'), { defaultModelSteps: 0, int8Error: 0 });
