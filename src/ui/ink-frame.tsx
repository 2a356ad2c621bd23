// The only component, and the only place that knows Ink: shows rows of text, and hands on what is typed.

import { Transform, useInput } from 'ink';
import { useLayoutEffect } from 'react';
import type { KeyPress } from './keys.js';

export interface InkFrameProps {
  /** Each exactly `columns` wide. */
  readonly rows: readonly string[];
  readonly columns: number;
  readonly onKey: (key: KeyPress) => void;
  /** Called when Ink takes the tree down, whatever the cause: end of the run, a signal, an error. */
  readonly onUnmount: () => void;
}

/**
 * Ink keeps every text that it has ever measured, so text that changes would be a leak: it measures an unchanging blank
 * of the same size instead, and gets the rows at output.
 */
export function InkFrame({ rows, columns, onKey, onUnmount }: InkFrameProps) {
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
