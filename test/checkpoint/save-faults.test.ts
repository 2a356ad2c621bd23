import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createFileOps } from '../../src/checkpoint/file-ops.js';
import { loadTraining } from '../../src/checkpoint/load.js';
import { recover } from '../../src/checkpoint/replace-folder.js';
import { saveCheckpoint } from '../../src/checkpoint/save.js';
import { FileError } from '../../src/errors.js';
import { repoRoot } from '../helpers/paths.js';
import { contentOf, temporaryFolder } from './helpers/content.js';
import { createFaultyOps, createTracedOps, exchangeByRenames, type FaultKind, Killed } from './helpers/faulty-ops.js';

type Start = 'nothing saved' | 'step 1 saved' | 'a swap interrupted';

const isWindows = process.platform === 'win32';
const OLD = 1;
const NEW = 2;
const NEVER = Infinity;

/** Every save of these tests leaves one of these, whole. */
async function stepOf(path: string): Promise<number> {
  const { checkpoint, state, m, v } = await loadTraining(path);
  const step = state.step;
  const { info, tensors, tokenizerJson, training } = contentOf(step);
  assert.deepEqual(
    {
      info: checkpoint.info,
      tensors: checkpoint.tensors,
      tokenizerJson: checkpoint.tokenizerJson,
      training: { state, m, v },
    },
    { info, tensors, tokenizerJson, training },
  );
  return step;
}

/** What lies there before the save under test; every test copies it into place again and again. */
async function createStart(saveDir: string, start: Start): Promise<void> {
  mkdirSync(saveDir);
  if (start === 'nothing saved') return;
  const path = join(saveDir, 'last');
  const { ops } = createFaultyOps('EIO', NEVER, false);
  await saveCheckpoint(path, contentOf(start === 'step 1 saved' ? OLD : OLD - 1), ops);
  if (start === 'step 1 saved') return;
  const dying = { ...ops, rename: dieAfterFirst(ops.rename) };
  await assert.rejects(saveCheckpoint(path, contentOf(OLD), dying), Killed);
  // The folder that stepped aside and its complete successor lie there; `last` doesn't.
  assert.deepEqual(
    readdirSync(saveDir).map((name) => name.replace(/-.*/, '')),
    ['.last.new', '.last.old'],
  );
}

async function startFrom(start: Start, t: TestContext) {
  const folder = await temporaryFolder(t);
  const [template, saveDir] = [join(folder, 'template'), join(folder, 'saves')];
  await createStart(template, start);
  const reset = () => {
    rmSync(saveDir, { recursive: true, force: true });
    cpSync(template, saveDir, { recursive: true });
  };
  reset();
  return { saveDir, path: join(saveDir, 'last'), reset };
}

function dieAfterFirst(rename: (from: string, to: string) => Promise<void>) {
  let count = 0;
  return async (from: string, to: string) => {
    if (++count > 1) throw new Killed();
    await rename(from, to);
  };
}

/** `all` operations of a save, `removals` and `writes` among them: a save that does one more or less is looked at again. */
interface Operations {
  readonly all: number;
  readonly writes: number;
  readonly removals: number;
}

const CASES: { canExchange: boolean; start: Start; operations: Operations }[] = [
  { canExchange: true, start: 'nothing saved', operations: { all: 26, writes: 5, removals: 0 } },
  { canExchange: false, start: 'nothing saved', operations: { all: 26, writes: 5, removals: 0 } },
  { canExchange: true, start: 'step 1 saved', operations: { all: 27, writes: 5, removals: 1 } },
  { canExchange: false, start: 'step 1 saved', operations: { all: 30, writes: 5, removals: 1 } },
  { canExchange: true, start: 'a swap interrupted', operations: { all: 30, writes: 5, removals: 2 } },
  { canExchange: false, start: 'a swap interrupted', operations: { all: 33, writes: 5, removals: 2 } },
];

/** How many operations of a save the fault can hit. */
const HITS: Record<FaultKind, (operations: Operations) => number> = {
  'killed before': ({ all }) => all,
  'killed within': ({ writes, removals }) => writes + removals,
  EIO: ({ all }) => all,
  'EIO for ever': ({ all }) => all,
  ENOSPC: ({ all, removals }) => all - removals,
  'short write': ({ writes }) => writes,
};

for (const { canExchange, start, operations } of CASES) {
  const circumstances = `${start}, ${canExchange ? 'folders exchanged' : 'folders renamed'}`;
  for (const [kind, hits] of Object.entries(HITS) as [FaultKind, (operations: Operations) => number][]) {
    test(`checkpoint save: ${kind} each operation (${circumstances}), the old or the new one is found whole`, async (t) => {
      const { saveDir, path, reset } = await startFrom(start, t);
      let newest = 0;
      for (let at = 1; ; at++) {
        reset();
        const { ops, count } = createFaultyOps(kind, at, canExchange);
        const outcome = await saveCheckpoint(path, contentOf(NEW), ops).catch((error: unknown) => error);
        const where = `operation ${at}`;
        // Without an exchange there is an instant between two renames, from which whoever lives on goes back.
        const mayBeGone = !canExchange && kind !== 'EIO' && kind !== 'short write';
        if (start === 'step 1 saved' && !mayBeGone) assert.ok(existsSync(path), `${where}: gone until recovered`);
        const isTyped = outcome instanceof (kind.startsWith('killed') ? Killed : FileError);
        assert.ok(isTyped || !(outcome instanceof Error), `${where}: ${outcome}`);

        await recover(saveDir);
        const found = existsSync(path) ? await stepOf(path) : 0;
        assert.deepEqual(readdirSync(saveDir), found === 0 ? [] : ['last'], `${where}: strays are left`);
        assert.ok(found === NEW || found === (start === 'nothing saved' ? 0 : OLD), `${where}: step ${found}`);
        // What fails once, and is no more than tidying up, leaves the save to succeed: then a later fault can leave the old one.
        if (kind !== 'EIO')
          assert.ok(found >= newest, `${where}: step ${found}, but ${newest} when the fault came earlier`);
        if (kind === 'short write') assert.ok(!(outcome instanceof Error), `${where}: ${outcome}`);
        assert.ok(found === NEW || isTyped, `${where}: the save was lost without an error`);
        newest = found;
        if (count() >= at) continue;
        assert.deepEqual({ found, operations: at - 1 }, { found: NEW, operations: hits(operations) });
        break;
      }
    });
  }
}

test('checkpoint save: all its file operations go through FileOps, so that these tests see each', () => {
  const folder = join(repoRoot, 'src/checkpoint');
  const writing =
    /\b(writeFile|appendFile|rename|rm|unlink|rmdir|mkdir|open|createWriteStream|truncate|copyFile|cp|link|symlink)(Sync)?\b/;
  // The operations themselves; reading; the lock, which is taken before and is no part of a save.
  const exempt = ['file-ops.ts', 'read-file.ts', 'run-lock.ts'];
  for (const name of readdirSync(folder).filter((file) => !exempt.includes(file))) {
    const imports =
      readFileSync(join(folder, name), 'utf8').match(/import \{[^}]*\} from 'node:fs(\/promises)?';/g) ?? [];
    for (const line of imports) assert.doesNotMatch(line, writing, name);
  }
});

test('checkpoint save: a process that is killed for real before any operation leaves a whole checkpoint', async (t) => {
  const saveDir = await temporaryFolder(t);
  const path = join(saveDir, 'last');
  const module = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  // One process a kill; a dozen of the 27 operations here, on the real disk with real fsyncs, the others above.
  await saveCheckpoint(path, contentOf(OLD));
  for (const at of [1, 2, 3, 4, 5, 14, 19, 23, 24, 25, 26, 27]) {
    const program = `
      import { createTracedOps } from ${module('./helpers/faulty-ops.js')};
      import { saveCheckpoint } from ${module('../../src/checkpoint/save.js')};
      import { contentOf } from ${module('./helpers/content.js')};
      let left = ${at};
      const { ops } = createTracedOps('', true, () => --left === 0 && process.kill(process.pid, 'SIGKILL'));
      await saveCheckpoint(${JSON.stringify(path)}, contentOf(${NEW}), ops);`;
    const { signal } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' });
    assert.equal(signal, 'SIGKILL', `operation ${at}`);
    await recover(saveDir);
    assert.deepEqual(readdirSync(saveDir), ['last'], `operation ${at}`);
    assert.equal(await stepOf(path), at < 26 ? OLD : NEW, `operation ${at}`);
  }
});

test('checkpoint save: a file that may not grow further is a full disk, and the checkpoint of before stays', {
  skip: isWindows,
}, async (t) => {
  const saveDir = await temporaryFolder(t);
  const path = join(saveDir, 'last');
  const module = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  await saveCheckpoint(path, contentOf(OLD));
  const program = `
    import { saveCheckpoint } from ${module('../../src/checkpoint/save.js')};
    import { contentOf } from ${module('./helpers/content.js')};
    process.on('SIGXFSZ', () => {});
    const error = await saveCheckpoint(${JSON.stringify(path)}, contentOf(${NEW})).catch((error) => error);
    process.stdout.write(String(error));`;
  // The limit counts in blocks of 512 bytes: the weights are larger, so the system stops a real write half-way.
  const script = 'ulimit -f 2; exec "$@"';
  const { stdout, stderr } = spawnSync(
    'sh',
    ['-c', script, 'sh', process.execPath, '--input-type=module', '--eval', program],
    {
      encoding: 'utf8',
    },
  );
  assert.match(stdout, /^FileError: .*last can't be saved \(EFBIG/, stderr);
  assert.deepEqual(readdirSync(saveDir), ['last']);
  assert.equal(await stepOf(path), OLD);
});

test('checkpoint save: a full disk gets its space back and says so', async (t) => {
  const saveDir = await temporaryFolder(t);
  const path = join(saveDir, 'last');
  await saveCheckpoint(path, contentOf(OLD));
  const { ops } = createFaultyOps('ENOSPC', 1, true);
  await assert.rejects(saveCheckpoint(path, contentOf(NEW), ops), {
    name: 'FileError',
    exitCode: 74,
    message:
      `The disk is full: ${path} can't be saved (ENOSPC: no space left).\n` +
      '  Nothing there is half-written: it is as it was before, or complete. Free some space, then go on with --resume.',
  });
  assert.deepEqual(readdirSync(saveDir), ['last']);
  assert.equal(await stepOf(path), OLD);
});

test('checkpoint save: short writes are continued, and a write that takes nothing is an error', async (t) => {
  const path = join(await temporaryFolder(t), 'last');
  const real = createFileOps(() => false);
  const takingAtMost = (limit: number) => ({
    ...real,
    create: async (name: string) => {
      const file = await real.create(name);
      return {
        ...file,
        write: (bytes: Uint8Array) => (limit === 0 ? Promise.resolve(0) : file.write(bytes.subarray(0, limit))),
      };
    },
  });
  await saveCheckpoint(path, contentOf(OLD), takingAtMost(101));
  assert.equal(await stepOf(path), OLD);
  await assert.rejects(saveCheckpoint(path, contentOf(NEW), takingAtMost(0)), /^FileError: The disk is full/);
  assert.equal(await stepOf(path), OLD);
});

test('checkpoint save: strays of dead processes are swept, those of living ones and other files are left alone', async (t) => {
  const saveDir = await temporaryFolder(t);
  await saveCheckpoint(join(saveDir, 'last'), contentOf(OLD));
  const dead = spawnSync(process.execPath, ['--version']).pid;
  const alive = process.ppid;
  const kept = [`.last.new-${alive}-1`, `.best.new-${alive}-2`, '.last.new-x-1', 'metrics.jsonl', '.last.new'];
  // With this process's own number: left by one that had it before, as happens in containers.
  const swept = [
    `.last.new-${dead}-1`,
    `.last.old-${dead}-1`,
    `.best.new-${dead}-9`,
    `.last.new-${process.pid}-999`,
    '.last.new-0-1',
  ];
  for (const name of [...kept, ...swept]) mkdirSync(join(saveDir, name));
  for (const name of swept) writeFileSync(join(saveDir, name, 'model.safetensors'), 'x');
  await recover(saveDir);
  assert.deepEqual(readdirSync(saveDir).sort(), [...kept, 'last'].sort());
});

test('checkpoint save: a reader mends the swap of a dead process, and of one that sleeps in the middle of it', async (t) => {
  const { saveDir, path, reset } = await startFrom('a swap interrupted', t);
  assert.equal(await stepOf(path), OLD);

  reset();
  for (const name of readdirSync(saveDir)) {
    renameSync(join(saveDir, name), join(saveDir, name.replace(/-\d+-/, `-${process.ppid}-`)));
  }
  const startedAt = performance.now();
  assert.equal(await stepOf(path), OLD);
  assert.ok(performance.now() - startedAt >= 1000, 'a living owner is given a second');
});

test('checkpoint save: without a successor the one that stepped aside comes back', async (t) => {
  const saveDir = await temporaryFolder(t);
  const path = join(saveDir, 'last');
  await saveCheckpoint(path, contentOf(OLD));
  await createFileOps().rename(path, join(saveDir, `.last.old-${process.pid}-999`));
  await recover(saveDir);
  assert.equal(await stepOf(path), OLD);
});

test('checkpoint save: calls at once follow one another, and the last one stays', async (t) => {
  const saveDir = await temporaryFolder(t);
  const path = join(saveDir, 'last');
  for (const exchange of [exchangeByRenames, () => false]) {
    await Promise.all([1, 2, 3, 4].map((step) => saveCheckpoint(path, contentOf(step), createFileOps(exchange))));
    assert.equal(await stepOf(path), 4);
    assert.deepEqual(readdirSync(saveDir), ['last']);
  }
});

test('checkpoint load: sees one save whole while another replaces it', async (t) => {
  const path = join(await temporaryFolder(t), 'last');
  for (const canExchange of [true, false]) {
    const { ops } = createFaultyOps('EIO', NEVER, canExchange);
    await saveCheckpoint(path, contentOf(0), ops);
    let isSaving = true;
    const saves = (async () => {
      for (let step = 1; step <= 20; step++) await saveCheckpoint(path, contentOf(step), ops);
      isSaving = false;
    })();
    const seen = new Set<number>();
    while (isSaving) seen.add(await stepOf(path).catch(toleratesRestlessness));
    await saves;
    assert.ok(seen.size > 1, `only steps ${[...seen]} seen`);
  }
});

/** These saves come faster than any trainer's: giving up with the right error is fine, a mixture is not. */
function toleratesRestlessness(error: unknown): number {
  if (error instanceof FileError && /was replaced 5 times/.test(error.message)) return -1;
  throw error;
}

test('checkpoint save: syncs every file, then its folder, before the swap, and the parent before the old one goes', async (t) => {
  const saveDir = await temporaryFolder(t);
  const path = join(saveDir, 'last');
  const { training: _, ...weightsOnly } = contentOf(NEW);
  const files = (name: string) => [`create ${name}`, 'write', 'sync', 'close'];
  const filled = [
    'mkdir .last.new',
    ...['model.safetensors', 'config.json', 'tokenizer.json'].flatMap((name) => files(`.last.new/${name}`)),
    'syncFolder .last.new',
  ];
  const swapped = [
    [true, ['exchange .last.new last', 'syncFolder .', 'remove .last.new']],
    [
      false,
      ['exchange .last.new last', 'rename last .last.old', 'rename .last.new last', 'syncFolder .'].concat(
        'rename .last.old .last.new',
        'remove .last.new',
      ),
    ],
  ] as const;
  await saveCheckpoint(path, contentOf(OLD));
  for (const [canExchange, swap] of swapped) {
    const { ops, trace } = createTracedOps(saveDir, canExchange);
    await saveCheckpoint(path, weightsOnly, ops);
    assert.deepEqual(trace, [...filled, ...swap]);
  }
});

test('checkpoint save: a process killed at random moments leaves a whole checkpoint, and never an older one than before', async (t) => {
  const saveDir = await temporaryFolder(t);
  const path = join(saveDir, 'last');
  const module = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  let newest = -1;
  for (const [index, exchange] of ['undefined', '() => false', 'undefined', '() => false'].entries()) {
    const program = `
      import { createFileOps } from ${module('../../src/checkpoint/file-ops.js')};
      import { saveCheckpoint } from ${module('../../src/checkpoint/save.js')};
      import { contentOf } from ${module('./helpers/content.js')};
      for (let step = ${newest + 1}; ; step++) {
        await saveCheckpoint(${JSON.stringify(path)}, contentOf(step), createFileOps(${exchange}));
        process.stdout.write('.');
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await delay(7 * index + 3);
    child.kill('SIGKILL');
    await once(child, 'close');
    await recover(saveDir);
    assert.deepEqual(readdirSync(saveDir), ['last']);
    const step = await stepOf(path);
    assert.ok(step > newest, `step ${step} after ${newest}`);
    newest = step;
  }
});
