// metrics.jsonl on a failing disk, at every file operation, and after a power cut that takes all that was not synced.

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadTraining } from '../../src/checkpoint/load.js';
import { FileError } from '../../src/errors.js';
import { type AppendOps, appendOps } from '../../src/trainer/append-ops.js';
import type { TrainEvent } from '../../src/trainer/events.js';
import { MetricsFile } from '../../src/trainer/metrics.js';
import { METRICS_FILE, metricsLine } from '../../src/trainer/metrics-lines.js';
import { startTraining, type TrainInputs } from '../../src/trainer/trainer.js';
import { runToEnd, temporaryFolder, testInputs } from '../helpers/run.js';
import { withoutTimes } from '../reliability/project.js';

const KINDS = ['EIO', 'ENOSPC', 'short write', 'no bytes taken', 'killed'] as const;
type Kind = (typeof KINDS)[number];

class Killed extends Error {}

/** The real file system, but operation number `at` (from 1) goes wrong; a killed process does nothing afterwards. */
function faultyOps(kind: Kind, at: number): { ops: AppendOps; count: () => number; isHit: () => boolean } {
  let count = 0;
  let isDead = false;
  let isHit = false;
  const due = (): boolean => {
    if (isDead) throw new Killed();
    if (++count !== at) return false;
    isHit = true;
    if (kind === 'killed') {
      isDead = true;
      throw new Killed();
    }
    if (kind === 'EIO' || kind === 'ENOSPC') throw Object.assign(new Error(`${kind}: it is`), { code: kind });
    return true;
  };
  const before =
    <A extends unknown[], R>(run: (...args: A) => R) =>
    (...args: A): R => {
      due();
      return run(...args);
    };
  return {
    count: () => count,
    isHit: () => isHit,
    ops: {
      create: before(appendOps.create),
      write: (fd, bytes) => {
        if (!due()) return appendOps.write(fd, bytes);
        return kind === 'no bytes taken' ? 0 : appendOps.write(fd, bytes.subarray(0, Math.ceil(bytes.length / 2)));
      },
      sync: async (fd) => {
        due();
        await appendOps.sync(fd);
      },
      syncNow: before(appendOps.syncNow),
      rename: before(appendOps.rename),
      syncFolder: before(appendOps.syncFolder),
      close: (fd) => appendOps.close(fd), // The system closes a dead process's files.
    },
  };
}

const OPTIONS = {
  workers: 1,
  model: { n_layer: 1, n_embd: 32 },
  training: { max_steps: 6, eval_interval: 3, save_interval: 2 },
};

/** As `train` does it. */
async function record(inputs: TrainInputs, ops: AppendOps, watch: (event: TrainEvent) => void = () => {}) {
  let metrics: MetricsFile | null = null;
  const { events } = startTraining({ ...inputs, syncRecord: async () => metrics?.sync() });
  try {
    for await (const event of events) {
      if (event.type === 'start') metrics = MetricsFile.open(inputs.config.training.saveDir, event.startStep, ops);
      metrics?.write(event);
      watch(event);
    }
  } finally {
    metrics?.close();
  }
}

function readMetrics(folder: string): string {
  return readFileSync(join(folder, METRICS_FILE), 'utf8');
}

/** The events of `record` without the training: `save` stands for a checkpoint, which waits for the record. */
async function replay(
  folder: string,
  events: readonly TrainEvent[],
  ops: AppendOps,
  save: (step: number) => void,
): Promise<void> {
  const [start] = events;
  const metrics = MetricsFile.open(folder, start.type === 'start' ? start.startStep : 0, ops);
  try {
    for (const event of events) {
      metrics.write(event);
      if (event.type !== 'checkpoint' || event.kind !== 'last') continue;
      await metrics.sync();
      save(event.step);
    }
  } finally {
    metrics.close();
  }
}

test('metrics: whichever file operation goes wrong, no line up to the last checkpoint is missing, and a resumed run has no gap', async () => {
  const events = await runToEnd(testInputs(temporaryFolder(), OPTIONS));
  const textOf = (list: readonly TrainEvent[]) => withoutTimes(list.map((event) => `${metricsLine(event)}\n`).join(''));
  const { ops, count } = faultyOps('EIO', 0);
  await replay(temporaryFolder(), events, ops, () => {});
  const operations = count();
  // Creation and its first lines 5, a write an event but the first, a sync each of the checkpoints 2, 4 and 6.
  assert.equal(operations, 5 + events.length - 1 + 3);
  const base = temporaryFolder();
  for (const kind of KINDS) {
    for (let at = 1; at <= operations; at++) {
      const folder = join(base, `${kind} at ${at}`);
      mkdirSync(folder);
      const faulty = faultyOps(kind, at);
      let saved = 0;
      const error = await replay(folder, events, faulty.ops, (step) => {
        saved = step;
      }).then(
        () => null,
        (reason: Error) => reason,
      );
      const where = `${kind} at ${at}`;
      assert.ok(faulty.isHit(), where);
      const isHarmless = kind === 'short write' || (kind === 'no bytes taken' && error === null);
      if (isHarmless) assert.equal(error, null, where);
      else assert.ok(error instanceof FileError && (kind !== 'killed' || error.cause instanceof Killed), where);
      if (saved > 0) assert.match(readMetrics(folder), new RegExp(`^\\{"step":${saved},"epoch"`, 'm'), where);
      const [start, ...rest] = events;
      const resumed = rest.filter((event) => !('step' in event) || event.step > saved);
      await replay(folder, [{ ...start, startStep: saved } as TrainEvent, ...resumed], appendOps, () => {});
      assert.equal(withoutTimes(readMetrics(folder)), textOf(events), where);
    }
  }
});

test('metrics: a power cut at any checkpoint leaves the lines of every step that the checkpoint tells of', async () => {
  const folder = temporaryFolder();
  const onDevice = temporaryFolder();
  const path = join(folder, METRICS_FILE);
  const keep = () => {
    if (existsSync(path)) cpSync(path, join(onDevice, METRICS_FILE));
  };
  const ops: AppendOps = {
    ...appendOps,
    sync: async (fd) => {
      await appendOps.sync(fd);
      keep();
    },
    syncFolder: (parent) => {
      appendOps.syncFolder(parent);
      keep();
    },
  };
  const steps: number[] = [];
  await record(testInputs(folder, OPTIONS), ops, (event) => {
    if (event.type !== 'checkpoint' || event.kind !== 'last') return;
    steps.push(event.step);
    const lines = readMetrics(onDevice);
    for (let step = 1; step <= event.step; step++) assert.match(lines, new RegExp(`^\\{"step":${step},"epoch"`, 'm'));
    if (event.step === 6) assert.match(lines, /^\{"step":6,"eval_loss"/m);
  });
  assert.deepEqual(steps, [2, 4, 6]);
});

test('metrics: a resumed run puts its file in the place of the old one when it is on the device', async () => {
  const folder = temporaryFolder();
  await record(testInputs(folder, OPTIONS), appendOps);
  const trace: string[] = [];
  const traced =
    <A extends unknown[], R>(name: string, run: (...args: A) => R) =>
    (...args: A): R => {
      trace.push(name);
      return run(...args);
    };
  const ops: AppendOps = {
    create: traced('create', appendOps.create),
    write: traced('write', appendOps.write),
    sync: traced('sync', appendOps.sync),
    syncNow: traced('syncNow', appendOps.syncNow),
    rename: traced('rename', appendOps.rename),
    syncFolder: traced('syncFolder', appendOps.syncFolder),
    close: traced('close', appendOps.close),
  };
  await record(testInputs(folder, { ...OPTIONS, resume: true }), ops);
  assert.deepEqual(trace.slice(0, 5), ['create', 'write', 'syncNow', 'rename', 'syncFolder']);
});

test('metrics: when the record cannot be synced, the checkpoint of before stays', async () => {
  const folder = temporaryFolder();
  let syncs = 0;
  const syncRecord = async () => {
    if (++syncs === 2) throw new FileError('the record is lost');
  };
  await assert.rejects(runToEnd({ ...testInputs(folder, OPTIONS), syncRecord }), /the record is lost/);
  assert.equal((await loadTraining(join(folder, 'last'))).state.step, 2);
});

test('checkpoint save: `last` never tells of best weights that could not be saved', async () => {
  const folder = temporaryFolder();
  const inputs = testInputs(folder, OPTIONS);
  // At step 2 `last` is saved, at step 3 the evaluation finds the best weights, and something else has taken their place.
  const error = await runToEnd(inputs, (event) => {
    if (event.type === 'step' && event.step === 3) writeFileSync(join(folder, 'best'), 'not a folder');
  }).then(
    () => null,
    (reason: Error) => reason,
  );
  assert.match(String(error), /best/);
  const { state } = await loadTraining(join(folder, 'last'));
  assert.deepEqual({ step: state.step, bestStep: state.bestStep }, { step: 2, bestStep: null });
});
