import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadAddon } from '../../src/addon/addon.js';
import { chooseIsa } from '../../src/engine/isa.js';
import { selectEngine } from '../../src/engine/select.js';
import { EngineError } from '../../src/errors.js';

const addon = loadAddon()!;

test('isa: the fastest, or the one that GPT_LOOM_ISA names', (t) => {
  t.after(() => delete process.env.GPT_LOOM_ISA);
  delete process.env.GPT_LOOM_ISA;
  assert.equal(chooseIsa(addon), addon.isaVariants()[0]);
  process.env.GPT_LOOM_ISA = '';
  assert.equal(chooseIsa(addon), addon.isaVariants()[0]);
  for (const isa of addon.isaVariants()) {
    process.env.GPT_LOOM_ISA = isa;
    const selection = selectEngine('native', 'fp32');
    assert.equal(selection.engine === 'native' && selection.isa, isa);
  }
});

test('isa: one that is not there is refused, and the others are named', (t) => {
  t.after(() => delete process.env.GPT_LOOM_ISA);
  process.env.GPT_LOOM_ISA = 'sse9';
  assert.throws(
    () => selectEngine('auto', 'auto'),
    (error: unknown) => {
      assert.ok(error instanceof EngineError);
      assert.match(error.message, /GPT_LOOM_ISA is "sse9"/);
      assert.match(error.message, new RegExp(addon.isaVariants().join(', ')));
      return true;
    },
  );
});

test('isa: bf16 follows it: refused where the one that is asked for has no such instructions', (t) => {
  t.after(() => delete process.env.GPT_LOOM_ISA);
  process.env.GPT_LOOM_ISA = 'plain';
  assert.throws(() => selectEngine('native', 'bf16'), /this one offers plain C/);
});
