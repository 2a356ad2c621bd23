// Takes the events of a run: dashboard or lines, metrics file, signals; ends with the exit code that fits.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config/config.js';
import { NonFiniteError } from '../../errors.js';
import type { EndEvent, TrainEvent } from '../../trainer/events.js';
import { MetricsFile } from '../../trainer/metrics.js';
import { METRICS_FILE } from '../../trainer/metrics-lines.js';
import { startTraining, type TrainingRun } from '../../trainer/trainer.js';
import { openDashboard } from '../../ui/open.js';
import { createJsonPrinter, createPlainPrinter, createQuietPrinter } from '../../ui/plain.js';
import { CommandExit } from '../exit.js';
import { typedFlags } from '../options.js';
import type { TrainOptions } from '../train.js';
import type { PreparedRun } from './prepare.js';
import { watchSignals } from './signals.js';

interface View {
  push(event: TrainEvent): void;
  close(): Promise<void>;
}

export async function followRun({ inputs, useDashboard }: PreparedRun, options: TrainOptions): Promise<void> {
  surviveLostOutput(inputs.config.training.saveDir);
  let metrics: MetricsFile | null = null;
  const run = startTraining({ ...inputs, syncRecord: async () => metrics?.sync() });
  const signals = watchSignals(() => run.control.stop());
  let view: View | null = null;
  let end: EndEvent | null = null;
  try {
    for await (const event of run.events) {
      if (event.type === 'start') {
        metrics = MetricsFile.open(inputs.config.training.saveDir, event.startStep);
        view = useDashboard ? await openView(run, signals.interrupt, options) : printer(options);
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
  if (end?.reason === 'diverged') throw divergence(end, inputs.config);
  const isOver = end !== null && end.reason !== 'stopped';
  if (signals.exitCode !== null) {
    // One that comes when everything is done has stopped nothing; it only wants an end.
    if (isOver) return;
    throw new CommandExit(signals.exitCode);
  }
  const isAsked = options.acceptance !== false && !options.quiet;
  if (isAsked && isOver) await showAcceptance(inputs.config, options);
}

async function showAcceptance(config: Config, options: TrainOptions): Promise<void> {
  const { reportAcceptance } = await import('./acceptance.js');
  const evalFlags = typedFlags(options, ['config', 'set', 'saveDir', 'engine']);
  await reportAcceptance({ config, asJson: options.json ?? false, evalFlags }, writeLine);
}

function divergence({ step }: EndEvent, { training }: Config): NonFiniteError {
  const { lr, warmupSteps, gradClip, saveDir } = training;
  const canResume = existsSync(join(saveDir, 'last'));
  const clip =
    gradClip > 0 ? `training.grad_clip below ${gradClip}` : 'training.grad_clip: 1 (it is 0, which is never)';
  return new NonFiniteError(
    `Training diverged: loss or gradient was not finite in three steps in a row, the last of them step ${step}.\n` +
      `  None of them changed the weights${canResume ? `, and the checkpoints in ${saveDir} are from before` : ''}.\n` +
      `  Lower training.lr (now ${lr}), e.g. --set training.lr=${Number((lr / 10).toPrecision(3))}; or more training.warmup_steps (now ${warmupSteps});` +
      ` or ${clip}.\n  Then start anew${canResume ? ', or go on from the last checkpoint with --resume' : ''}.`,
  );
}

/**
 * The terminal or the reader may go away (a closed window, `| head`), or the file of the log be full, and the training goes on
 * without: what is written then is lost, which stderr says once. Replaces the listener of cli.ts, which ends the program.
 */
function surviveLostOutput(saveDir: string): void {
  process.stdout.removeAllListeners('error');
  process.stdout.once('error', ({ message }) => {
    process.stdout.on('error', () => {});
    process.stderr.write(
      `standard output can't be written any more (${message}); the run goes on, its record is ${join(saveDir, METRICS_FILE)}\n`,
    );
  });
}

function openView(run: TrainingRun, interrupt: () => void, options: TrainOptions): Promise<View> {
  return openDashboard({
    control: run.control,
    stdout: process.stdout,
    stdin: process.stdin,
    onForceQuit: interrupt,
    ask: (prompt) => run.ask(prompt),
    trainFlags: typedFlags(options),
  });
}

/** Lines on stdout. */
function printer(options: TrainOptions): View {
  const write = writeLine;
  const push = options.json
    ? createJsonPrinter({ write })
    : options.quiet
      ? createQuietPrinter({ write, trainFlags: typedFlags(options) })
      : createPlainPrinter({ write, trainFlags: typedFlags(options) });
  return { push, close: async () => {} };
}

function writeLine(text: string): void {
  if (process.stdout.writable) process.stdout.write(text);
}
