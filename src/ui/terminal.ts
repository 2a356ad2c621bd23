// The terminal as the dashboard borrows it: alternate screen, drawing, suspension, and giving it back
// on every kind of exit. Nothing here throws when the terminal is gone.

import type { ReadStream, WriteStream } from 'node:tty';

export interface TerminalOptions {
  readonly stdin: ReadStream;
  readonly stdout: WriteStream;
  /** The screen is empty. */
  onResize(): void;
  /** The terminal is gone: hung up, closed, or its other end of the pipe. Called once. */
  onLost(): void;
  /** Back after a suspension; the screen is empty. */
  onResume(): void;
}

const ESC = '\u001b[';
/** Alternate screen, empty; cursor hidden; no wrapping, so that a character wider than we think can't break the frame. */
const ENTER = `${ESC}?1049h${ESC}2J${ESC}H${ESC}?25l${ESC}?7l`;
const LEAVE = `${ESC}0m${ESC}?7h${ESC}?25h${ESC}?1049l`;
/** Synchronized update: terminals that know it show the frame at once, the others ignore it. */
const BEGIN_FRAME = `${ESC}?2026h`;
const END_FRAME = `${ESC}?2026l`;
/** Long enough for a stop signal to take effect: whoever still runs then wasn't stopped, or goes on again. */
const SUSPEND_MS = 100;

let borrowed: Terminal | null = null;

/** Gives the terminal back if a dashboard has it. Synchronous, and harmless when called again. */
export function restoreTerminal(): void {
  borrowed?.leave();
}

export class Terminal {
  readonly #options: TerminalOptions;
  #state: 'out' | 'in' | 'suspended' | 'lost' = 'out';

  constructor(options: TerminalOptions) {
    this.#options = options;
  }

  get size(): { columns: number; rows: number } {
    const { columns, rows } = this.#options.stdout;
    return { columns: columns > 0 ? columns : 80, rows: rows > 0 ? rows : 24 };
  }

  get isLost(): boolean {
    return this.#state === 'lost';
  }

  enter(): void {
    const { stdin, stdout } = this.#options;
    borrowed = this;
    this.#state = 'in';
    stdout.on('error', this.#lose);
    stdout.on('resize', this.#resize);
    stdin.on('error', this.#lose);
    stdin.on('end', this.#lose);
    process.on('SIGHUP', this.#lose);
    process.on('SIGTSTP', this.#stopSignal);
    process.on('exit', restoreTerminal);
    this.#write(ENTER);
  }

  /** Restores the screen. After a loss the listeners stay: the streams may report more errors, which nobody else hears. */
  leave(): void {
    if (this.#state === 'out' || this.#state === 'lost') return;
    if (this.#state === 'in') this.#write(LEAVE);
    if (this.isLost) return;
    this.#state = 'out';
    borrowed = null;
    const { stdin, stdout } = this.#options;
    stdout.off('error', this.#lose);
    stdout.off('resize', this.#resize);
    stdin.off('error', this.#lose);
    stdin.off('end', this.#lose);
    process.off('SIGHUP', this.#lose);
    process.off('SIGTSTP', this.#stopSignal);
    process.off('exit', restoreTerminal);
  }

  /**
   * Writes rows of text at their places, counted from 0 at the top. Each row is erased before it is written, not after:
   * after a full row the cursor still stands on the last column, and erasing from there would take the last character.
   */
  draw(rows: readonly { readonly at: number; readonly text: string }[]): void {
    if (this.#state !== 'in') return;
    const texts = rows.map(({ at, text }) => `${ESC}${at + 1};1H${ESC}2K${text.trimEnd()}`);
    this.#write(BEGIN_FRAME + texts.join('') + END_FRAME);
  }

  /**
   * Stops the whole job as Ctrl-Z does for other programs; raw mode keeps the terminal from doing it. Where no shell
   * could continue the job, the system ignores the signal, and the dashboard comes back at once.
   */
  suspend(): void {
    if (process.platform !== 'win32') this.#suspend(0);
  }

  #suspend(pid: number): void {
    if (this.#state !== 'in') return;
    this.#write(LEAVE);
    if (this.isLost) return;
    this.#state = 'suspended';
    this.#options.stdin.setRawMode(false);
    process.off('SIGTSTP', this.#stopSignal);
    process.kill(pid, 'SIGTSTP');
    setTimeout(() => this.#resume(), SUSPEND_MS);
  }

  #resume(): void {
    if (this.#state !== 'suspended') return;
    this.#state = 'in';
    process.on('SIGTSTP', this.#stopSignal);
    this.#options.stdin.setRawMode(true);
    this.#write(ENTER);
    this.#options.onResume();
  }

  #stopSignal = (): void => this.#suspend(process.pid);

  #resize = (): void => {
    if (this.#state === 'in') this.#write(`${ESC}2J`);
    this.#options.onResize();
  };

  #lose = (): void => {
    if (this.#state === 'lost' || this.#state === 'out') return;
    this.#state = 'lost';
    this.#options.onLost();
  };

  #write(text: string): void {
    try {
      this.#options.stdout.write(text);
    } catch {
      // A closed stream throws; a hung up one reports by its 'error' event. Both mean the same.
      this.#lose();
    }
  }
}
