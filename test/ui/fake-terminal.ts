// A terminal for tests: what is typed goes in, the escape sequences that come out are carried out on a screen of text.

import { EventEmitter } from 'node:events';
import type { ReadStream, WriteStream } from 'node:tty';

export class FakeStdin extends EventEmitter {
  readonly isTTY = true;
  readonly rawModes: boolean[] = [];
  #typed: string | null = null;

  type(text: string): void {
    this.#typed = text;
    this.emit('readable');
  }

  read(): string | null {
    const text = this.#typed;
    this.#typed = null;
    return text;
  }

  setRawMode(isRaw: boolean): this {
    this.rawModes.push(isRaw);
    return this;
  }

  setEncoding(): void {}
  ref(): void {}
  unref(): void {}

  asStream(): ReadStream {
    return this as unknown as ReadStream;
  }
}

const CONTROL = new RegExp(`${String.fromCharCode(27)}\\[([?]?[\\d;]*)([A-Za-z])`, 'y');

export class FakeStdout extends EventEmitter {
  readonly isTTY = true;
  columns: number;
  rows: number;
  /** Everything written, in order. */
  output = '';
  /** Frames drawn: synchronized updates that were begun. */
  frames = 0;
  isAlternate = false;
  isCursorHidden = false;
  /** Text of the alternate screen by row, and what was written to the normal one. */
  readonly screen: string[] = [];
  normal = '';
  /** When set, writing fails in this way. */
  failure: Error | null = null;
  #row = 0;

  constructor(columns: number, rows: number) {
    super();
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string, done?: () => void): boolean {
    if (this.failure !== null) throw this.failure;
    this.output += text;
    let at = 0;
    while (at < text.length) {
      CONTROL.lastIndex = at;
      const match = CONTROL.exec(text);
      if (match !== null) this.#control(match[1], match[2]);
      else if (this.isAlternate) this.screen[this.#row] = (this.screen[this.#row] ?? '') + text[at];
      else this.normal += text[at];
      at = match === null ? at + 1 : CONTROL.lastIndex;
    }
    done?.();
    return true;
  }

  hasColors(): boolean {
    return true;
  }

  resizeTo(columns: number, rows: number): void {
    this.columns = columns;
    this.rows = rows;
    this.emit('resize');
  }

  asStream(): WriteStream {
    return this as unknown as WriteStream;
  }

  #control(parameters: string, final: string): void {
    if (final === 'H') this.#row = Number(parameters.split(';')[0] || 1) - 1;
    if (final === 'K' && parameters === '2') this.screen[this.#row] = '';
    if (final === 'J') this.screen.length = 0;
    if (parameters === '?1049') this.isAlternate = final === 'h';
    if (parameters === '?25') this.isCursorHidden = final === 'l';
    if (parameters === '?2026' && final === 'h') this.frames++;
  }
}
