// Reads lines at a terminal with editing and history (arrow keys, Ctrl-A, Ctrl-E ...), by Node's readline. What is typed while an
// answer is being written isn't shown until the answer is complete: it waits, and is asked next.

import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';
import type { OutputStream } from './print.js';
import type { InputStream } from './prompts.js';

export interface LineEditor {
  /** Shows the prompt and gives the next line; null at the end of the input, and after close(). */
  next(): Promise<string | null>;
  /** Whether a line is being typed that isn't empty. */
  readonly hasText: boolean;
  clearLine(): void;
  close(): void;
}

type Screen = OutputStream & { readonly columns?: number; readonly rows?: number };

const PROMPT = '> ';

/** `onInterrupt`: Ctrl-C was pressed, which in raw mode is a key and no signal. */
export function openLineEditor(stdin: InputStream, screen: Screen, onInterrupt: () => void): LineEditor {
  const isTerminal = screen.isTTY === true;
  const echo = new Echo(screen);
  const lines = createInterface({ input: stdin, output: echo, terminal: isTerminal, prompt: PROMPT });
  insertAtCursor(lines);
  const waiting: { text: string; isShown: boolean }[] = [];
  let wake: (() => void) | null = null;
  let isOpen = true;
  lines.on('SIGINT', onInterrupt);
  lines.on('line', (text) => {
    waiting.push({ text, isShown: !echo.isMuted });
    // At once: more lines of a paste may follow before anyone takes this one.
    echo.isMuted = isTerminal;
    wake?.();
  });
  lines.on('close', () => {
    isOpen = false;
    wake?.();
  });
  return {
    async next() {
      if (waiting.length === 0 && isOpen) {
        echo.isMuted = false;
        lines.prompt(true);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = null;
      } else if (waiting.length > 0 && !isTerminal) {
        screen.write(PROMPT);
      }
      const line = waiting.shift();
      if (line === undefined) return null;
      if (!line.isShown) screen.write(`${PROMPT}${line.text}\n`);
      return line.text;
    },
    get hasText() {
      return !echo.isMuted && lines.line !== '';
    },
    clearLine() {
      lines.write(null, { ctrl: true, name: 'e' });
      lines.write(null, { ctrl: true, name: 'u' });
    },
    close() {
      lines.close();
      echo.stop();
    },
  };
}

/**
 * Characters that arrive together, as an input method sends a Chinese word, are put at the end of the line by Node, wherever the
 * cursor is: all but the last, as long as this property says that no Tab could be among them. There is no completion here.
 */
function insertAtCursor(lines: Interface): void {
  Object.defineProperty(lines, 'isCompletionEnabled', { get: () => true, set: () => {} });
}

/** The screen as readline sees it: what it writes can be held back. */
class Echo extends Writable {
  isMuted = false;

  constructor(private readonly screen: Screen) {
    super({ decodeStrings: false });
    screen.on('resize', this.onResize);
  }

  private readonly onResize = () => this.emit('resize');

  get columns(): number | undefined {
    return this.screen.columns;
  }

  get rows(): number | undefined {
    return this.screen.rows;
  }

  stop(): void {
    this.screen.off('resize', this.onResize);
  }

  override _write(text: string, _encoding: BufferEncoding, done: () => void): void {
    if (!this.isMuted) this.screen.write(text);
    done();
  }
}
