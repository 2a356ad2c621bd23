// What `gpt-loom watch` does: follows the metrics file of a run, and shows it as `train` would.

import { constants } from 'node:os';
import { dirname } from 'node:path';
import type { TrainEvent } from '../../trainer/events.js';
import { locateMetrics } from '../../trainer/metrics-reader.js';
import type { Dashboard } from '../../ui/dashboard.js';
import { openDashboard, shouldUseDashboard } from '../../ui/open.js';
import { createPlainPrinter } from '../../ui/plain.js';
import { CommandExit } from '../exit.js';
import type { WatchOptions } from '../watch.js';
import { RunClock } from './clock.js';
import { joinProcesses, lastProcess } from './history.js';
import { Silence } from './silence.js';
import { type Batch, MetricsTail } from './tail.js';

/** As often as the dashboard draws. */
const POLL_MS = 250;
interface Watcher {
  show(batch: Batch): Promise<void> | void;
  /** `isOver`: the run doesn't go on. */
  notice(event: TrainEvent, isOver: boolean): void;
  close(): Promise<void>;
}

export async function watchRun(folder: string, { plain }: WatchOptions): Promise<void> {
  const path = locateMetrics(folder);
  const { stdin, stdout, env } = process;
  const useDashboard = shouldUseDashboard({ stdin, stdout, env, flags: { plain } });
  const leaving = watchSignals();
  const watcher = useDashboard ? new DashboardWatcher(path, leaving.leave) : new PlainWatcher(path);
  const tail = new MetricsTail(path);
  try {
    await follow(tail, watcher, leaving.asked, useDashboard);
  } finally {
    tail.close();
    await watcher.close();
    leaving.close();
  }
  if (leaving.exitCode !== null) throw new CommandExit(leaving.exitCode);
}

/** Until the user leaves; as lines, until the run has ended. */
async function follow(tail: MetricsTail, watcher: Watcher, asked: Promise<void>, staysOpen: boolean): Promise<void> {
  const folder = dirname(tail.path);
  const silence = new Silence(folder);
  let isLeft = false;
  void asked.then(() => {
    isLeft = true;
  });
  let last: TrainEvent | undefined;
  let stepMs = 0;
  let told: boolean | null = null;
  for (let polls = 0; !isLeft; polls++) {
    const batch = tail.poll();
    if (batch !== null) {
      last = batch.events.at(-1) ?? last;
      stepMs = batch.events.findLast((event) => event.type === 'step')?.stepMs ?? stepMs;
      silence.end();
      told = null;
      await watcher.show(batch);
    } else if (polls === 0) {
      process.stderr.write(`waiting for a run to begin in ${folder} …\n`);
    }
    const isOver = last?.type === 'end';
    if (isOver && !staysOpen) return;
    const found = last === undefined || isOver ? null : await silence.look(tail.idleMs(), stepMs);
    if (last !== undefined && found !== null) {
      const step = 'step' in last ? last.step : 0;
      if (found.isGone !== told) {
        watcher.notice({ type: 'notice', level: 'warning', step, message: found.text }, found.isGone);
      }
      told = found.isGone;
      if (found.isOver && !staysOpen) throw new CommandExit(1);
    }
    await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, POLL_MS))]);
  }
}

/** Lines, as `train` prints them; after the run was resumed, only what comes then. */
class PlainWatcher implements Watcher {
  private isFirst = true;
  private readonly clock = new RunClock();
  private print = this.newPrinter();

  constructor(private readonly path: string) {}

  show({ isWhole, events }: Batch): void {
    const news = this.newsOf(isWhole, events);
    if (isWhole && !this.isFirst) this.print = this.newPrinter();
    this.isFirst = false;
    for (const event of news) {
      this.clock.tell(event);
      this.print(event);
    }
  }

  notice(event: TrainEvent): void {
    this.print(event);
  }

  async close(): Promise<void> {}

  private newsOf(isWhole: boolean, events: readonly TrainEvent[]): readonly TrainEvent[] {
    if (!isWhole) return events;
    return this.isFirst ? joinProcesses(events, this.path) : lastProcess(events);
  }

  private newPrinter(): (event: TrainEvent) => void {
    return createPlainPrinter({ write: (text) => void process.stdout.write(text), now: () => this.clock.now() });
  }
}

class DashboardWatcher implements Watcher {
  private dashboard: Dashboard | null = null;
  private clock = new RunClock();

  constructor(
    private readonly path: string,
    private readonly leave: () => void,
  ) {}

  async show({ isWhole, events }: Batch): Promise<void> {
    if (isWhole) await this.reopen();
    for (const event of isWhole ? joinProcesses(events, this.path) : events) {
      if (isWhole) this.clock.tell(event);
      if (event.type === 'end') this.clock.stop();
      this.dashboard?.push(event);
    }
    if (events.at(-1)?.type !== 'end') this.clock.goLive();
  }

  notice(event: TrainEvent, isOver: boolean): void {
    if (isOver) this.clock.stop();
    this.dashboard?.push(event);
  }

  async close(): Promise<void> {
    await this.dashboard?.close();
    this.dashboard = null;
  }

  /** Another file is another story: a dashboard shows one from its beginning. */
  private async reopen(): Promise<void> {
    await this.close();
    const clock = new RunClock();
    this.clock = clock;
    this.dashboard = await openDashboard({
      control: null,
      stdout: process.stdout,
      stdin: process.stdin,
      onForceQuit: this.leave,
      onLeave: this.leave,
      now: () => clock.now(),
    });
  }
}

const STOPPING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A signal leaves as q does, so that the terminal is given back. */
function watchSignals() {
  let exitCode: number | null = null;
  let leave = () => {};
  const asked = new Promise<void>((resolve) => {
    leave = resolve;
  });
  const onSignal = (signal: NodeJS.Signals) => {
    exitCode = 128 + constants.signals[signal];
    leave();
  };
  for (const signal of STOPPING) process.on(signal, onSignal);
  // A terminal may also vanish without a signal.
  process.stdout.on('error', leave);
  return {
    asked,
    leave,
    get exitCode() {
      return exitCode;
    },
    close() {
      for (const signal of STOPPING) process.off(signal, onSignal);
      process.stdout.off('error', leave);
    },
  };
}
