// The dashboard at work: events in, frames out, keys to the run. Loaded by open.ts, never directly: Ink reads the
// environment when it is imported.

import { EventEmitter } from 'node:events';
import type { ReadStream, WriteStream } from 'node:tty';
import { type Instance, render } from 'ink';
import type { TrainControl, TrainEvent } from '../trainer/events.js';
import { buildFrame } from './frame.js';
import { InkFrame } from './ink-frame.js';
import { type Command, createUiState, handleKey, type KeyPress, splitKeys, withAnswer } from './keys.js';
import { createPaint } from './paint.js';
import type { PanelContext } from './panels/panel.js';
import { createPlainPrinter } from './plain.js';
import { createViewState, reduceView } from './state.js';
import { formatSummary } from './summary.js';
import { Terminal } from './terminal.js';

export interface DashboardOptions {
  readonly control: TrainControl;
  readonly stdout: WriteStream;
  readonly stdin: ReadStream;
  readonly hasColour: boolean;
  /** Milliseconds by a clock that doesn't go back. */
  readonly now?: () => number;
  /** Frames per second for what the run does; a key is answered at once. */
  readonly fps?: number;
  /** The second q or Ctrl-C: the user doesn't want to wait for the step and the save. */
  onForceQuit(): void;
  /** Answers a prompt by the model as it is now. Without it the key isn't there. */
  readonly ask?: (prompt: string) => Promise<string>;
}

export interface Dashboard {
  push(event: TrainEvent): void;
  /** Gives the terminal back and prints the summary on the normal screen. */
  close(): Promise<void>;
}

/** Every so many frames all rows are written, in case something else wrote on the screen. */
const FULL_FRAME_EVERY = 20;
/** Keys that come faster than this are answered together. */
const LEAST_FRAME_MS = 40;

export function runDashboard(options: DashboardOptions): Dashboard {
  const { control, stdout, stdin, ask } = options;
  const clock = options.now ?? (() => performance.now());
  const paint = createPaint(options.hasColour);
  let view = createViewState();
  let ui = createUiState();
  let frozen: Pick<PanelContext, 'view' | 'live' | 'now'> | null = null;
  let shown: readonly string[] = [];
  /** Places of the rows that Ink has. */
  let drawn: readonly number[] = [];
  let frames = 0;
  let state: 'open' | 'failed' | 'closed' = 'open';
  let ink: Instance | null = null;
  let keyTimer: NodeJS.Timeout | null = null;
  let printAfterFailure: ((event: TrainEvent) => void) | null = null;

  const terminal = new Terminal({ stdin, stdout, onResize: redraw, onResume: redraw, onLost: shutDown });
  const frameTimer = setInterval(update, 1000 / (options.fps ?? 4));
  frameTimer.unref();
  terminal.enter();
  update();

  function contextNow(): PanelContext {
    const present = { view, live: control.liveWorkers(), now: clock() };
    if (!ui.isFrozen) frozen = null;
    else frozen ??= present;
    return { ...(frozen ?? present), ui, isPaused: control.isPaused, canAsk: ask !== undefined, paint };
  }

  /** Draws a frame unless it would be the one that is there already. */
  function update(): void {
    if (state !== 'open') return;
    try {
      const { columns, rows } = terminal.size;
      const next = buildFrame(contextNow(), { columns, rows });
      const isFull = (frames + 1) % FULL_FRAME_EVERY === 0;
      const changed = next.flatMap((row, at) => (row === shown[at] ? [] : [at]));
      if (changed.length === 0) return;
      frames++;
      show(next, isFull ? [...next.keys()] : changed, columns);
      shown = next;
    } catch (error) {
      fail(error);
    }
  }

  /** Ink takes each frame apart into characters, 20 ms for 120 by 40: so it gets only the rows that have changed. */
  function show(rows: readonly string[], places: readonly number[], columns: number): void {
    drawn = places;
    const changed = places.map((at) => rows[at]);
    const tree = <InkFrame rows={changed} columns={columns} onKey={onKey} onUnmount={onUnmount} />;
    if (ink !== null) {
      ink.rerender(tree);
      return;
    }
    // `debug` makes Ink write each frame at once and without moving the cursor: where a row goes is ours to say.
    ink = render(tree, {
      stdout: inkOutput(draw, () => terminal.size.columns),
      stdin,
      debug: true,
      exitOnCtrlC: false,
      patchConsole: false,
    });
    ink.waitUntilExit().catch(fail);
  }

  function draw(frame: string): void {
    const texts = frame.split('\n');
    terminal.draw(drawn.map((at, i) => ({ at, text: texts[i] ?? '' })));
  }

  function redraw(): void {
    shown = [];
    update();
  }

  function onUnmount(): void {
    terminal.leave();
  }

  function onKey(press: KeyPress): void {
    for (const key of splitKeys(ui, press)) {
      const result = handleKey(ui, key, {
        now: clock(),
        isPaused: control.isPaused,
        workers: view.lastStep?.workers.length ?? view.start?.workers ?? 1,
        maxWorkers: view.start?.microBatches ?? 1,
        canAsk: ask !== undefined,
      });
      ui = result.ui;
      if (result.command !== null) execute(result.command);
    }
    keyTimer ??= setTimeout(() => {
      keyTimer = null;
      update();
    }, LEAST_FRAME_MS);
  }

  function execute(command: Command): void {
    if (command.type === 'stop') control.stop();
    else if (command.type === 'pause') control.pause();
    else if (command.type === 'resume') control.resume();
    else if (command.type === 'save') control.saveNow();
    else if (command.type === 'evaluate') control.evaluateNow();
    else if (command.type === 'setWorkers') control.setWorkers(command.workers);
    else if (command.type === 'forceQuit') options.onForceQuit();
    else if (command.type === 'suspend') terminal.suspend();
    else if (command.type === 'ask') void answer(command.prompt);
    else redraw();
  }

  async function answer(prompt: string): Promise<void> {
    let text: string;
    try {
      text = (await ask?.(prompt)) ?? '';
    } catch (error) {
      text = `no answer: ${messageOf(error)}`;
    }
    ui = withAnswer(ui, prompt, text);
    update();
  }

  /** A mistake in the dashboard doesn't end a training run: it is reported, and plain lines take over. */
  function fail(error: unknown): void {
    if (state !== 'open') return;
    shutDown();
    state = 'failed';
    if (terminal.isLost) return;
    const write = (text: string) => void stdout.write(text);
    write(`The dashboard failed and is closed; training goes on. ${messageOf(error)}\n`);
    printAfterFailure = createPlainPrinter({ write, now: clock, view });
  }

  function shutDown(): void {
    if (state !== 'open') return;
    state = 'closed';
    clearInterval(frameTimer);
    if (keyTimer !== null) clearTimeout(keyTimer);
    try {
      ink?.unmount();
    } finally {
      terminal.leave();
    }
  }

  return {
    push(event) {
      view = reduceView(view, event, clock());
      printAfterFailure?.(event);
    },
    async close() {
      if (state !== 'open') return;
      shutDown();
      if (terminal.isLost) return;
      await new Promise<void>((resolve) => {
        stdout.write(formatSummary(view, { hasWarnings: true }), () => resolve());
      });
    },
  };
}

/** What Ink takes for its terminal. As it isn't a TTY, Ink writes nothing but frames. */
function inkOutput(draw: (frame: string) => void, columns: () => number): NodeJS.WriteStream {
  const output = Object.assign(new EventEmitter(), { isTTY: false, write: draw });
  Object.defineProperty(output, 'columns', { get: columns });
  return output as unknown as NodeJS.WriteStream;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
