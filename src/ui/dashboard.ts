// The dashboard at work: events in, frames out, keys to the run. Loaded by open.ts, never directly: Ink reads the
// environment when it is imported.

import type { ReadStream, WriteStream } from 'node:tty';
import type { TrainControl, TrainEvent } from '../trainer/events.js';
import { buildFrame } from './frame.js';
import { type Command, createUiState, handleKey, type KeyPress, splitKeys, withAnswer } from './keys.js';
import { createPaint, type Paint } from './paint.js';
import type { PanelContext } from './panels/panel.js';
import { createPlainPrinter } from './plain.js';
import { Screen } from './screen.js';
import { createViewState, reduceView } from './state.js';
import { formatSummary } from './summary.js';
import { Terminal } from './terminal.js';

export interface DashboardOptions {
  /** Null for a run of another process, which one can only watch. */
  readonly control: TrainControl | null;
  readonly stdout: WriteStream;
  readonly stdin: ReadStream;
  readonly hasColour: boolean;
  /** Milliseconds by a clock that doesn't go back. */
  readonly now?: () => number;
  /** Frames per second for what the run does (default 4); a key is answered at once. */
  readonly fps?: number;
  /** The second q or Ctrl-C: the user doesn't want to wait for the step and the save. */
  onForceQuit(): void;
  /** q or Ctrl-C without a control. */
  onLeave?(): void;
  /** Answers a prompt by the model as it is now. Without it the key isn't there. */
  readonly ask?: (prompt: string) => Promise<string>;
  /** See SummaryOptions. */
  readonly trainFlags?: string;
}

export interface Dashboard {
  /** Does nothing once the dashboard is closed or has lost its terminal. */
  push(event: TrainEvent): void;
  /** Gives the terminal back, and prints the summary on the normal screen if the run has ended. */
  close(): Promise<void>;
}

const FRAMES_PER_SECOND = 4;
/** Keys that come faster than this are answered together. */
const LEAST_FRAME_MS = 40;

/** Takes the terminal until close(). Both streams must be TTYs. */
export function runDashboard(options: DashboardOptions): Dashboard {
  return new LiveDashboard(options);
}

class LiveDashboard implements Dashboard {
  readonly #options: DashboardOptions;
  readonly #clock: () => number;
  readonly #paint: Paint;
  readonly #terminal: Terminal;
  readonly #screen: Screen;
  readonly #frameTimer: NodeJS.Timeout;
  #keyTimer: NodeJS.Timeout | undefined;
  #isKeyWaiting = false;
  #view = createViewState();
  #ui = createUiState();
  /** What a frozen view shows. */
  #frozen: Pick<PanelContext, 'view' | 'live' | 'now'> | null = null;
  #state: 'open' | 'closed' | 'failed' = 'open';
  /** Prints the events instead, after a failure. */
  #print: ((event: TrainEvent) => void) | null = null;

  constructor(options: DashboardOptions) {
    const { stdin, stdout } = options;
    this.#options = options;
    this.#clock = options.now ?? (() => performance.now());
    this.#paint = createPaint(options.hasColour);
    const redraw = () => this.#redraw();
    this.#terminal = new Terminal({
      stdin,
      stdout,
      onResize: redraw,
      onResume: redraw,
      onLost: () => this.#shutDown(),
    });
    this.#screen = new Screen({
      stdin,
      terminal: this.#terminal,
      onKey: (press) => this.#guard(() => this.#handle(press)),
      onError: (error) => this.#fail(error),
    });
    this.#frameTimer = setInterval(() => this.#update(), 1000 / (options.fps ?? FRAMES_PER_SECOND)).unref();
    this.#terminal.enter();
    this.#update();
  }

  push(event: TrainEvent): void {
    if (this.#state === 'closed') return;
    this.#view = reduceView(this.#view, event, this.#clock());
    this.#print?.(event);
  }

  async close(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#shutDown();
    if (this.#terminal.isLost) return;
    const summary = formatSummary(this.#view, { hasWarnings: true, trainFlags: this.#options.trainFlags });
    await new Promise<void>((resolve) => this.#options.stdout.write(summary, () => resolve()));
  }

  #update(): void {
    if (this.#state !== 'open') return;
    this.#guard(() => this.#screen.show(buildFrame(this.#context(), this.#terminal.size)));
  }

  #redraw(): void {
    this.#screen.forget();
    this.#update();
  }

  #context(): PanelContext {
    const { control, ask } = this.#options;
    const present = { view: this.#view, live: control?.liveWorkers() ?? [], now: this.#clock() };
    if (!this.#ui.isFrozen) this.#frozen = null;
    else this.#frozen ??= present;
    return {
      ...(this.#frozen ?? present),
      ui: this.#ui,
      isPaused: control?.isPaused ?? false,
      canAsk: ask !== undefined,
      isWatching: control === null,
      paint: this.#paint,
    };
  }

  #handle(press: KeyPress): void {
    const { control, ask } = this.#options;
    const { start, lastStep } = this.#view;
    for (const key of splitKeys(this.#ui, press)) {
      const { ui, command } = handleKey(this.#ui, key, {
        now: this.#clock(),
        isPaused: control?.isPaused ?? false,
        workers: lastStep?.workers.length ?? start?.workers ?? 1,
        maxWorkers: start?.microBatches ?? 1,
        canAsk: ask !== undefined,
        isWatching: control === null,
      });
      this.#ui = ui;
      if (command !== null) this.#execute(command);
    }
    this.#answerKeys();
  }

  /** At once, or where the last key was answered only just now, a moment later together with those that follow. */
  #answerKeys(): void {
    if (this.#keyTimer !== undefined) {
      this.#isKeyWaiting = true;
      return;
    }
    this.#update();
    this.#keyTimer = setTimeout(() => {
      this.#keyTimer = undefined;
      if (this.#isKeyWaiting) this.#answerKeys();
      this.#isKeyWaiting = false;
    }, LEAST_FRAME_MS);
  }

  #execute(command: Command): void {
    const { control, onForceQuit, onLeave } = this.#options;
    if (command.type === 'stop') control?.stop();
    else if (command.type === 'forceQuit') onForceQuit();
    else if (command.type === 'leave') onLeave?.();
    else if (command.type === 'pause') control?.pause();
    else if (command.type === 'resume') control?.resume();
    else if (command.type === 'save') control?.saveNow();
    else if (command.type === 'evaluate') control?.evaluateNow();
    else if (command.type === 'setWorkers') control?.setWorkers(command.workers);
    else if (command.type === 'suspend') this.#terminal.suspend();
    else if (command.type === 'ask') void this.#answer(command.prompt);
    else this.#redraw();
  }

  async #answer(prompt: string): Promise<void> {
    let text: string;
    try {
      text = (await this.#options.ask?.(prompt)) ?? '';
    } catch (error) {
      text = `no answer: ${messageOf(error)}`;
    }
    this.#ui = withAnswer(this.#ui, prompt, text);
    this.#update();
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A mistake in the dashboard doesn't end a training run: it is reported, and plain lines take over. */
  #fail(error: unknown): void {
    if (this.#state !== 'open') return;
    this.#shutDown();
    if (this.#terminal.isLost) return;
    this.#state = 'failed';
    const write = (text: string) => void this.#options.stdout.write(text);
    write(`The dashboard failed and is closed; training goes on. ${messageOf(error)}\n`);
    const { trainFlags } = this.#options;
    this.#print = createPlainPrinter({ write, now: this.#clock, view: this.#view, trainFlags });
  }

  #shutDown(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closed';
    clearInterval(this.#frameTimer);
    clearTimeout(this.#keyTimer);
    try {
      this.#screen.close();
    } finally {
      this.#terminal.leave();
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
