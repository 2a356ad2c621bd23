// Takes the events of a run: dashboard or lines, metrics file, signals; ends with the exit code that fits.

import type { EndEvent, TrainEvent } from '../../trainer/events.js';
import { MetricsFile } from '../../trainer/metrics.js';
import { startTraining, type TrainingRun } from '../../trainer/trainer.js';
import { openDashboard } from '../../ui/open.js';
import { createJsonPrinter, createPlainPrinter, createQuietPrinter } from '../../ui/plain.js';
import { CommandExit } from '../exit.js';
import type { TrainOptions } from '../train.js';
import type { PreparedRun } from './prepare.js';
import { watchSignals } from './signals.js';

interface View {
  push(event: TrainEvent): void;
  close(): Promise<void>;
}

const DIVERGED = 3;

export async function followRun({ inputs, useDashboard }: PreparedRun, options: TrainOptions): Promise<void> {
  const run = startTraining(inputs);
  const signals = watchSignals(() => run.control.stop());
  let view: View | null = null;
  let metrics: MetricsFile | null = null;
  let end: EndEvent | null = null;
  try {
    for await (const event of run.events) {
      if (event.type === 'start') {
        metrics = MetricsFile.open(inputs.config.training.saveDir, event.startStep);
        view = useDashboard ? await openView(run, signals.interrupt) : printer(options);
      }
      metrics?.write(event);
      view?.push(event);
      if (event.type === 'end') end = event;
      // The dashboard's timers and keys get their turn between two steps.
      await new Promise(setImmediate);
    }
  } finally {
    metrics?.close();
    await view?.close();
    signals.close();
  }
  if (signals.exitCode !== null) throw new CommandExit(signals.exitCode);
  if (end?.reason === 'diverged') throw new CommandExit(DIVERGED);
}

function openView(run: TrainingRun, interrupt: () => void): Promise<View> {
  return openDashboard({
    control: run.control,
    stdout: process.stdout,
    stdin: process.stdin,
    onForceQuit: interrupt,
    ask: (prompt) => run.ask(prompt),
  });
}

/** Lines on stdout. A reader that goes away (`| head`) doesn't end the training: the rest is simply not printed. */
function printer(options: TrainOptions): View {
  let isOpen = true;
  process.stdout.on('error', () => {
    isOpen = false;
  });
  const write = (text: string) => {
    if (isOpen) process.stdout.write(text);
  };
  const push = options.json
    ? createJsonPrinter({ write })
    : options.quiet
      ? createQuietPrinter({ write })
      : createPlainPrinter({ write });
  return { push, close: async () => {} };
}
