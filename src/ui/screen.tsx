// The only place that knows Ink: shows rows of text on the terminal, and hands on what is typed.

import { EventEmitter } from 'node:events';
import type { ReadStream } from 'node:tty';
import { type Instance, render, Transform, useInput } from 'ink';
import { useLayoutEffect } from 'react';
import type { KeyPress } from './keys.js';
import type { Terminal } from './terminal.js';

export interface RowsProps {
  /** Each exactly `columns` wide. */
  readonly rows: readonly string[];
  readonly columns: number;
  readonly onKey: (key: KeyPress) => void;
  /** Called when Ink takes the tree down, whatever the cause: end of the run, a signal, an error. */
  readonly onUnmount: () => void;
}

/** Every so many frames all rows are written, in case something else wrote on the screen. */
const FULL_FRAME_EVERY = 20;

export interface ScreenOptions extends Pick<RowsProps, 'onKey'> {
  readonly stdin: ReadStream;
  readonly terminal: Terminal;
  /** Ink has given up. */
  readonly onError: (error: unknown) => void;
}

/** The screen of the dashboard. Ink gets only the rows that have changed: it takes each into characters, which costs. */
export class Screen {
  readonly #options: ScreenOptions;
  #ink: Instance | null = null;
  #shown: readonly string[] = [];
  /** Where the rows that Ink has belong, counted from the top. */
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
    const { terminal, stdin, onKey, onError } = this.#options;
    const { columns } = terminal.size;
    const tree = <Rows rows={rows} columns={columns} onKey={onKey} onUnmount={this.#onUnmount} />;
    if (this.#ink !== null) {
      this.#ink.rerender(tree);
      return;
    }
    const stdout = this.#inkOutput();
    // `debug` makes Ink write each frame at once and without moving the cursor: where a row goes is ours to say.
    this.#ink = render(tree, { stdout, stdin, debug: true, exitOnCtrlC: false, patchConsole: false });
    this.#ink.waitUntilExit().catch(onError);
  }

  /** What Ink takes for its terminal. As it isn't a TTY, Ink writes nothing but frames. */
  #inkOutput(): NodeJS.WriteStream {
    const { terminal } = this.#options;
    const write = (frame: string) => {
      const texts = frame.split('\n');
      terminal.draw(this.#places.map((at, i) => ({ at, text: texts[i] ?? '' })));
    };
    const output = Object.assign(new EventEmitter(), { isTTY: false, write });
    Object.defineProperty(output, 'columns', { get: () => terminal.size.columns });
    return output as unknown as NodeJS.WriteStream;
  }

  #onUnmount = (): void => this.#options.terminal.leave();
}

/**
 * Ink keeps every text that it has ever measured, so text that changes would be a leak: it measures an unchanging blank
 * of the same size instead, and gets the rows at output.
 */
export function Rows({ rows, columns, onKey, onUnmount }: RowsProps) {
  useInput((input, key) =>
    onKey({
      input,
      ctrl: key.ctrl,
      escape: key.escape,
      return: key.return,
      erase: key.backspace || key.delete,
    }),
  );
  useLayoutEffect(() => onUnmount, [onUnmount]);
  const blank = new Array<string>(rows.length).fill('x'.repeat(columns)).join('\n');
  return <Transform transform={(_blank, i) => rows[i]}>{blank}</Transform>;
}
