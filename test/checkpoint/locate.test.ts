import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadCheckpoint } from '../../src/checkpoint/load.js';
import { listCheckpoints } from '../../src/checkpoint/locate.js';
import { saveCheckpoint } from '../../src/checkpoint/save.js';
import { contentOf, temporaryFolder } from './helpers/content.js';

const WHAT = 'a checkpoint is a folder with model.safetensors in it';
const PYTORCH = `is a name for PyTorch files, which are not read here (they can run code); ${WHAT}`;

test('checkpoint path: a wrong one gets an error that names the right one and lists what is there', async (t) => {
  const dir = join(await temporaryFolder(t), 'checkpoints');
  const path = (name: string) => join(dir, name);
  await saveCheckpoint(path('quantized'), contentOf(1));
  await saveCheckpoint(path('last'), contentOf(1));
  writeFileSync(path('best.pt'), 'PK');
  mkdirSync(path('empty'));
  const all = `Checkpoints here: ${path('last')}, ${path('quantized')}.`;
  const cases: [string, string][] = [
    [path('last.pt'), `"${path('last.pt')}" ${PYTORCH}.\n  Use ${path('last')}. ${all}`],
    [path('best.pt'), `"${path('best.pt')}" ${PYTORCH}.\n  ${all}`],
    [path('last/model.safetensors'), `"${path('last/model.safetensors')}" is a file; ${WHAT}.\n  Use ${path('last')}.`],
    [path('best'), `There is no checkpoint "${path('best')}"; ${WHAT}.\n  ${all}`],
    [path('empty/'), `"${path('empty')}" is a folder without model.safetensors; ${WHAT}.\n  ${all}`],
    [dir, `"${dir}" is a folder without model.safetensors; ${WHAT}.\n  Use ${path('last')}. ${all}`],
    [
      path('best.pt/x'),
      `There is no checkpoint "${path('best.pt/x')}"; ${WHAT}.\n  No checkpoint is in the folder "${path('best.pt')}". Train one first: npm start.`,
    ],
  ];
  for (const [wrong, message] of cases) {
    await assert.rejects(loadCheckpoint(wrong), { name: 'CheckpointError', exitCode: 2, message });
  }
  await assert.rejects(loadCheckpoint(path('x'.repeat(300))), {
    name: 'CheckpointError',
    message: /^There is no checkpoint/,
  });
});

test('checkpoint path: lists the trainer’s own first, then others by name, and no strays', async (t) => {
  const dir = await temporaryFolder(t);
  await saveCheckpoint(join(dir, 'b'), contentOf(1));
  renameSync(join(dir, 'b'), join(dir, '.last.new-1-1'));
  for (const name of ['b', 'quantized', 'a', 'last', 'best']) await saveCheckpoint(join(dir, name), contentOf(1));
  rmSync(join(dir, 'best/model.safetensors'));
  assert.deepEqual(
    await listCheckpoints(dir),
    ['last', 'quantized', 'a', 'b'].map((name) => join(dir, name)),
  );
  assert.deepEqual(await listCheckpoints(join(dir, 'absent')), []);
});
