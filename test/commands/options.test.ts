import assert from 'node:assert/strict';
import { test } from 'node:test';
import { typedFlags } from '../../src/commands/options.js';

test('options: those that were given, as one types them', () => {
  const options = { set: ['training.lr=1e-3', 'training.save_dir=my runs'], maxSteps: '300', config: "it's.yaml" };
  assert.equal(
    typedFlags(options),
    ' --config "it\'s.yaml" --set training.lr=1e-3 --set "training.save_dir=my runs" --max-steps 300',
  );
  assert.equal(typedFlags(options, ['config', 'engine']), ' --config "it\'s.yaml"');
  assert.equal(typedFlags({}), '');
});
