// What a tokenizer makes of a text, as values and as a table for a terminal.

import stringWidth from 'string-width';
import type { Tokenizer } from './tokenizer.js';

export interface Inspection {
  readonly text: string;
  readonly tokens: readonly InspectedToken[];
  /** What the ids decode to; the text itself when nothing is lost. */
  readonly decoded: string;
  readonly roundTrips: boolean;
}

export interface InspectedToken {
  readonly id: number;
  readonly piece: string;
  /** In hex, e.g. `E4 BD A0`; '' for a special token. */
  readonly bytes: string;
}

export function inspectText(tokenizer: Tokenizer, text: string): Inspection {
  const ids = tokenizer.encode(text, { special: false });
  const pieces = tokenizer.pieces(ids);
  const decoded = tokenizer.decode(ids);
  return {
    text,
    tokens: ids.map((id, i) => ({ id, piece: pieces[i], bytes: toHex(tokenizer.bytes(id)) })),
    decoded,
    roundTrips: decoded === text,
  };
}

/** One line a token, columns aligned also under Chinese characters, which are two cells wide; then the summary. */
export function formatInspection({ text, tokens, decoded, roundTrips }: Inspection): string {
  const rows = [
    { id: 'id', piece: 'piece', bytes: 'bytes' },
    ...tokens.map(({ id, piece, bytes }) => ({ id: String(id), piece, bytes })),
  ];
  const idWidth = Math.max(...rows.map(({ id }) => id.length));
  const pieceWidth = Math.max(...rows.map(({ piece }) => stringWidth(piece)));
  const lines = rows.map(({ id, piece, bytes }) => {
    const padding = ' '.repeat(pieceWidth - stringWidth(piece));
    return `${id.padStart(idWidth)}  ${piece}${padding}  ${bytes}`.trimEnd();
  });
  const counts = `${count(tokens.length, 'token')}, ${count(Buffer.byteLength(text), 'byte')}`;
  const verdict = roundTrips
    ? 'decodes to the same text'
    : `does not decode to the same text but to ${JSON.stringify(decoded)}`;
  return `${[...lines, `${counts}; ${verdict}.`].join('\n')}\n`;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join(' ');
}
