// The contract, kept by the native engine with every instruction set. What is its own alone (instruction sets against each
// other, bad arguments) is in native.test.ts.

import { loadAddon } from '../../src/addon/addon.js';
import { describeContract } from './contract.js';

for (const isa of loadAddon()?.isaVariants() ?? []) {
  // Activations are rounded to 1/127 of the row's largest: about 0.4 % a layer.
  describeContract(
    { engine: 'native', isa, precision: 'fp32', notice: null },
    { defaultModelSteps: 5, int8Error: 0.02 },
  );
}
