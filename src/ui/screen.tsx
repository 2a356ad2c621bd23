// The only place that knows Ink: shows rows of text on the terminal, and hands on what is typed.

import { EventEmitter } from 'node:events';
import type { ReadStream } from 'node:tty';
import { type Instance, type Key, render, useInput, useStdout } from 'ink';
import { useCallback, useLayoutEffect } from 'react';
import type { KeyPress } from './keys.js';
import type { Terminal } from './terminal.js';

export interface RowsProps {
  /** None empty. */
  readonly rows: readonly string[];
  readonly onKey: (key: KeyPress) => void;
  /** Called when Ink takes the tree down, whatever the cause: end of the run, a signal, an error. */
  readonly onUnmount: () => void;
}

/** Every so many frames all rows are written, in case something else wrote on the screen. */
const FULL_FRAME_EVERY = 20;

/** What Ink writes when it ends where the environment has CI: the nothing that it laid out, as a line. */
const LAST_NOTHING = '\n';

export interface ScreenOptions extends Pick<RowsProps, 'onKey'> {
  readonly stdin: ReadStream;
  readonly terminal: Terminal;
  /** Ink has given up. */
  readonly onError: (error: unknown) => void;
}

/** The screen of the dashboard. Only the rows that have changed are written. */
export class Screen {
  readonly #options: ScreenOptions;
  #ink: Instance | null = null;
  #shown: readonly string[] = [];
  /** Where the rows that Ink is given belong, counted from the top. */
  #places: readonly number[] = [];
  #frames = 0;

  constructor(options: ScreenOptions) {
    this.#options = options;
  }

  /** Shows a frame, unless it is the one that is there already. */
  show(rows: readonly string[]): void {
    const changed = rows.flatMap((row, at) => (row === this.#shown[at] ? [] : [at]));
    if (changed.length === 0) return;
    this.#shown = rows;
    this.#places = ++this.#frames % FULL_FRAME_EVERY === 0 ? [...rows.keys()] : changed;
    this.#render(this.#places.map((at) => rows[at]));
  }

  /** The next frame is written in full. */
  forget(): void {
    this.#shown = [];
  }

  close(): void {
    this.#ink?.unmount();
  }

  #render(rows: readonly string[]): void {
    const { stdin, onKey, onError } = this.#options;
    const tree = <Rows rows={rows} onKey={onKey} onUnmount={this.#onUnmount} />;
    if (this.#ink !== null) {
      this.#ink.rerender(tree);
      return;
    }
    const stdout = this.#inkOutput();
    // `debug` makes Ink write at once and without moving the cursor: where a row goes is ours to say.
    this.#ink = render(tree, { stdout, stdin, debug: true, exitOnCtrlC: false, patchConsole: false });
    this.#ink.waitUntilExit().catch(onError);
  }

  /** What Ink takes for its terminal. As it isn't a TTY, Ink writes nothing but rows, and the nothing that it laid out. */
  #inkOutput(): NodeJS.WriteStream {
    const { terminal } = this.#options;
    const write = (text: string) => {
      if (text === '' || text === LAST_NOTHING) return;
      const texts = text.split('\n');
      terminal.draw(this.#places.map((at, i) => ({ at, text: texts[i] })));
    };
    const output = Object.assign(new EventEmitter(), { isTTY: false, write });
    Object.defineProperty(output, 'columns', { get: () => terminal.size.columns });
    return output as unknown as NodeJS.WriteStream;
  }

  #onUnmount = (): void => this.#options.terminal.leave();
}

/**
 * The rows go straight to Ink's output, and nothing into its layout: that takes each row apart into characters, six times
 * what it costs to make the row, and keeps every text it has seen.
 */
export function Rows({ rows, onKey, onUnmount }: RowsProps) {
  const handle = useCallback(
    (input: string, key: Key) =>
      onKey({
        input,
        ctrl: key.ctrl,
        escape: key.escape,
        return: key.return,
        erase: key.backspace || key.delete,
      }),
    [onKey],
  );
  useInput(handle);
  const { write } = useStdout();
  useLayoutEffect(() => write(rows.join('\n')), [rows, write]);
  useLayoutEffect(() => onUnmount, [onUnmount]);
  return null;
}
