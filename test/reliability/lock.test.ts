// One run per folder.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockByFile, lockByName, lockFolder, type TakeLock } from '../../src/checkpoint/run-lock.js';
import { LockError } from '../../src/errors.js';
import { temporaryFolder } from '../helpers/run.js';
import { createProject, startTrain, trainToEnd } from './project.js';

const WAYS: [name: string, take: TakeLock, skip: boolean][] = [
  ['by name', lockByName, process.platform !== 'linux'],
  ['by file', lockByFile, false],
];

/** A process that takes the lock, says whether it has it, and keeps it until it is killed. */
function startHolder(folder: string, take: TakeLock) {
  const module = new URL('../../src/checkpoint/run-lock.js', import.meta.url).href;
  const program =
    `const { lockFolder, ${take.name} } = await import(${JSON.stringify(module)});` +
    `await lockFolder(process.argv[1], ${take.name}).then(() => console.log('has it'), (e) => console.log(e.name));` +
    'setInterval(() => {}, 1000);';
  return spawn(process.execPath, ['--input-type=module', '-e', program, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function firstLine(child: ReturnType<typeof startHolder>): Promise<string> {
  const [data] = await once(child.stdout!, 'data');
  return String(data).trim();
}

for (const [name, take, skip] of WAYS) {
  test(`run lock: ${name}, one holder at a time, whatever the path is called, and free after release`, {
    skip,
  }, async () => {
    const folder = join(temporaryFolder(), 'runs');
    const lock = await lockFolder(folder, take);
    const alias = join(temporaryFolder(), 'alias');
    symlinkSync(folder, alias);
    for (const path of [folder, `${folder}/../runs/`, alias]) await assert.rejects(lockFolder(path, take), LockError);
    const other = await lockFolder(join(folder, 'other'), take);
    await lock.release();
    const again = await lockFolder(alias, take);
    await again.release();
    await other.release();
    assert.deepEqual(readdirSync(folder), ['other']);
  });

  test(`run lock: ${name}, of processes that race one gets it, and kill -9 frees it`, { skip }, async () => {
    const folder = temporaryFolder();
    // What a process leaves that was killed long ago; the number is beyond any that a system gives out.
    if (take === lockByFile) writeFileSync(join(folder, '.running-1'), '4999999');
    const holders = Array.from({ length: 4 }, () => startHolder(folder, take));
    const lines = await Promise.all(holders.map(firstLine));
    assert.deepEqual(lines.sort(), ['LockError', 'LockError', 'LockError', 'has it']);
    await Promise.all(
      holders.map((holder) => {
        holder.kill('SIGKILL');
        return once(holder, 'exit');
      }),
    );
    const lock = await lockFolder(folder, take);
    await lock.release();
  });
}

test('run lock: it is that of the folder and of its path', { skip: process.platform !== 'linux' }, async () => {
  const folder = join(temporaryFolder(), 'run');
  const lock = await lockFolder(folder, lockByName);
  renameSync(folder, `${folder}-moved`);
  // What the run saves would go into the new folder of that name.
  for (const taken of [folder, `${folder}-moved`]) {
    await assert.rejects(lockFolder(taken, lockByName), { name: 'LockError' });
  }
  await lock.release();
  for (const free of [folder, `${folder}-moved`]) await (await lockFolder(free, lockByName)).release();
});

test('run lock: a second training in the folder is refused with exit code 75 and changes nothing', async () => {
  const project = createProject();
  const first = startTrain(project, 'same', ['--max-steps', '1000000', '--set', 'training.early_stopping_patience=0']);
  await first.seen('"type":"step"', 5);
  mkdirSync(join(project, 'links'));
  symlinkSync('../same', join(project, 'links/alias'));
  for (const saveDir of ['same', 'links/alias']) {
    const { exitCode, stdout, stderr } = await startTrain(project, saveDir).ended;
    assert.equal(exitCode, 75);
    assert.equal(stdout, '');
    assert.equal(
      stderr,
      `LockError: The folder "${saveDir}" is in use: another training writes its checkpoints and metrics there.\n` +
        '  One run at a time may use a folder. Wait until it ends, or choose another: --save-dir.\n',
    );
  }
  first.child.kill('SIGKILL');
  await first.ended;
  await trainToEnd(project, 'same', ['--max-steps', '4']);
});
