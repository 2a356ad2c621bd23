// Bytes of a token -> a text that shows them on one line of a terminal.

import { isUtf8 } from 'node:buffer';

/** Whole characters as they are, invisible ones escaped (`\n`, `\u{200B}`), a plain space as ␣, parts of characters as `\xE4`. */
export function toReadable(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    text += length === 0 ? escapeByte(bytes[at]) : showCharacter(decoder.decode(bytes.subarray(at, at + length)));
    at += length || 1;
  }
  return text;
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

const NAMES: Readonly<Record<string, string>> = { ' ': '␣', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

/** Bytes of the UTF-8 character that starts at `at`; 0 when none does. */
function characterLength(bytes: Uint8Array, at: number): number {
  return [1, 2, 3, 4].find((n) => at + n <= bytes.length && isUtf8(bytes.subarray(at, at + n))) ?? 0;
}

function showCharacter(char: string): string {
  // Marks would sit on whatever stands before them, so they are escaped too.
  const isInvisible = /^[\p{C}\p{Z}\p{M}]$/u.test(char);
  return NAMES[char] ?? (isInvisible ? `\\u{${char.codePointAt(0)?.toString(16).toUpperCase()}}` : char);
}

function escapeByte(byte: number): string {
  return `\\x${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}
