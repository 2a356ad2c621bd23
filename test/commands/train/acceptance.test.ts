import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { configFromOptions } from '../../../src/commands/options.js';
import { reportAcceptance } from '../../../src/commands/train/acceptance.js';
import { saveTinyCheckpoint } from '../tiny-checkpoint.js';

const folder = mkdtempSync(join(tmpdir(), 'gpt-loom-acceptance-'));

function writeRows(name: string, rows: readonly (readonly [prompt: string, completion: string])[]): string {
  const path = join(folder, name);
  writeFileSync(path, rows.map(([prompt, completion]) => `${JSON.stringify({ prompt, completion })}\n`).join(''));
  return path;
}

before(async () => {
  for (const name of ['with-best/best', 'only-last/last']) {
    await saveTinyCheckpoint(join(folder, name), { says: 'once' });
  }
  mkdirSync(join(folder, 'data'));
  writeRows(
    'data/train.jsonl',
    [...Array(120).keys()].map((i) => [`问${i}`, '好'] as const),
  );
  writeRows('data/val.jsonl', [['一', '好']]);
  writeRows('data/test.jsonl', [
    ['一', '好'],
    ['二', '不好'],
    ['三', '不知道。'],
  ]);
  mkdirSync(join(folder, 'alone'));
  writeRows('alone/rows.jsonl', [['一', '好']]);
});
after(() => rmSync(folder, { recursive: true }));

/** The model answers 好 to everything. */
async function accept({ saveDir = 'with-best', train = 'data/train.jsonl', val = 'data/val.jsonl', asJson = false }) {
  const sets = [`data.train_path=${join(folder, train)}`, `data.val_path=${join(folder, val)}`];
  const config = await configFromOptions({ set: sets, saveDir: join(folder, saveDir) });
  let text = '';
  await reportAcceptance({ config, asJson, evalFlags: ' --save-dir a' }, (more) => {
    text += more;
  });
  return text.replaceAll(folder, '…').replace(/ in [\d,.]+ m?s;/, ' in TIME;');
}

describe('acceptance', () => {
  it('acceptance: asks the best checkpoint 100 training rows and the test split', async () => {
    assert.equal(
      await accept({}),
      `  checked  …/with-best/best in TIME; all rows: npx gpt-loom eval --save-dir a
           training rows       100 of 100 answered exactly
           test.jsonl          1 of 2 answered exactly, 0 refused by mistake
                               0 of 1 questions outside refused
`,
    );
  });

  it('acceptance: says nothing of refusals where none are taught, nor of unseen rows where there are none', async () => {
    assert.match(
      await accept({ train: 'data/train.jsonl', val: 'alone/rows.jsonl' }),
      /\n {11}\S+ +1 of 1 answered exactly\n$/,
    );
    assert.match(
      await accept({ train: 'alone/rows.jsonl', val: 'alone/rows.jsonl' }),
      /^.*\n {11}training rows {7}1 of 1 answered exactly\n$/,
    );
  });

  it('acceptance: a run that was never evaluated has its last checkpoint checked', async () => {
    assert.match(await accept({ saveDir: 'only-last' }), /^ {2}checked {2}…\/only-last\/last in TIME;/);
  });

  it('acceptance: what cannot be checked is said, not thrown: the run has succeeded', async () => {
    assert.match(
      await accept({ saveDir: 'nowhere' }),
      /^ {2}checked {2}not possible\. CheckpointError: There is no checkpoint "…\/nowhere\/last"/,
    );
  });

  it('acceptance: --json has one object', async () => {
    const { elapsedMs, ...object } = JSON.parse(await accept({ asJson: true }));
    assert.ok(elapsedMs > 0);
    const { loss, ...training } = object.training;
    assert.ok(loss > 0);
    assert.deepEqual(training, {
      rows: 100,
      exact: 100,
      taught: { rows: 100, exact: 100, refused: 0 },
      outside: { rows: 0, refused: 0 },
    });
    assert.deepEqual([object.type, object.unseen.rows, object.unseen.rowsInFile], ['acceptance', 3, 3]);
    const failed = JSON.parse(await accept({ asJson: true, saveDir: 'nowhere' }));
    assert.match(failed.error, /^CheckpointError: /);
  });
});
