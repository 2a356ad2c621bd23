// A setting at work: a few real training steps, the same ones for every setting.

import { freemem } from 'node:os';
import { type EngineSelection, packedFloats } from '../engine/select.js';
import { createParameterTable } from '../model/parameters.js';
import type { WorkerReport } from '../parallel/tasks.js';
import type { Visit } from './measurement.js';
import type { Trial } from './rounds.js';
import type { Setting } from './settings.js';
import { openSteps, type StepInputs, type StepRunner, shapeOf } from './steps.js';

export type TrialInputs = StepInputs;

/** A visit is long enough to average over steps, and short enough that a round takes seconds. */
const VISIT_MS = 350;
const MOST_STEPS = 8;
const MOST_WARM_UP_STEPS = 3;
/** A thread with its heap, and what it computes in. */
const WORKER_BYTES = 48 * 2 ** 20;
/** The rest is left to other programs. */
const SHARE_OF_MEMORY = 0.6;

/** Opens a setting, with the engine of the inputs unless another one is given. */
export type TrialOpener = (setting: Setting, selection?: EngineSelection) => Promise<Trial | null>;

/** Returns what opens trials. All visits of all trials run the same batches, whose number the first trial's speed decides. */
export function createTrialOpener(inputs: TrialInputs): TrialOpener {
  const { config } = inputs;
  const { batchSize, mergeDuplicates } = config.training;
  const shape = shapeOf(inputs);
  const { flatLength } = createParameterTable(shape);
  let steps: number | null = null;

  return async (setting, selection = inputs.selection) => {
    const floats = (3 + batchSize / setting.microBatch) * flatLength + packedFloats(selection, shape);
    const isFirst = steps === null;
    if (!isFirst && floats * 4 + setting.threads * WORKER_BYTES > SHARE_OF_MEMORY * availableMemory()) return null;
    const runner = await openSteps({ ...inputs, selection }, { ...setting, mergeDuplicates });
    await runner.warmUp(MOST_WARM_UP_STEPS);
    steps ??= Math.min(MOST_STEPS, Math.max(1, Math.round(VISIT_MS / (await runner.steps([1]))[0].ms)));
    const batches = Array.from({ length: steps }, (_, i) => i + 1);
    return {
      async visit() {
        await runner.warmUp(1);
        return measureVisit(batches, runner);
      },
      close: () => runner.close(),
    };
  };
}

async function measureVisit(batches: readonly number[], runner: StepRunner): Promise<Omit<Visit, 'round'>> {
  const cpu = process.cpuUsage();
  const times = await runner.steps(batches);
  const { user, system } = process.cpuUsage(cpu);
  const busyMs = sum(times.flatMap(({ reports }) => reports.map(busyTime)));
  return {
    ms: sum(times.map(({ ms }) => ms)),
    tokens: sum(times.map(({ plan }) => plan.tokens)),
    // While it has work, a worker uses all of its processor, unless something else is running there.
    starved: busyMs > 0 ? Math.max(0, 1 - (user + system) / 1000 / busyMs) : 0,
  };
}

function busyTime(report: WorkerReport): number {
  return report.forwardMs + report.backwardMs + report.reduceMs + report.updateMs;
}

/** Bytes; within a container, what its limit leaves. Node tells that from 20.13 on. */
function availableMemory(): number {
  return process.availableMemory?.() ?? freemem();
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
