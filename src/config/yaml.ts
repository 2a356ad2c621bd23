// YAML text -> plain values plus the line of every key. Knows nothing of which keys exist.
// A configuration needs no anchors, so they are refused; that also shuts out alias bombs.

import { CORE_SCHEMA, constructFromEvents, EVENT_ID, type Event, getScalarValue, load, parseEvents } from 'js-yaml';
import { ConfigError } from '../errors.js';

export interface ParsedYaml {
  /** Top-level mapping; empty when the text has no content. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Dotted path of each key -> line it stands on, from 1. */
  readonly lines: ReadonlyMap<string, number>;
}

/** A section and its keys make 2; what lies deeper can't be right, and this is where the parser gives up. */
const MAX_DEPTH = 10;

/** `source` is the file's name for messages. Throws ConfigError that names the line. */
export function parseYaml(text: string, source: string): ParsedYaml {
  const lineAt = createLineFinder(text);
  const events = parseOrThrow(text, source, () => parseEvents(text, { filename: source, maxDepth: MAX_DEPTH }));
  refuseAnchors(events, text, source, lineAt);
  if (events.filter((event) => event.type === EVENT_ID.DOCUMENT).length > 1) {
    throw new ConfigError(
      `${source} holds more than one YAML document.\n` +
        '  A configuration is a single document: remove the `---` line in the middle and what follows it.',
    );
  }
  if (isEmpty(events)) return { values: {}, lines: new Map() };
  const lines = keyLines(events, text, source, lineAt);
  const [values] = parseOrThrow(text, source, () =>
    constructFromEvents(events, { source: text, schema: CORE_SCHEMA, maxAliases: 0 }),
  );
  if (!isMapping(values)) {
    throw new ConfigError(
      `${source} line ${firstLine(events, lineAt)}: expected sections with keys, got ${describeValue(values)}.\n` +
        '  A configuration starts like this:\n    model:\n      n_layer: 4',
    );
  }
  return { values, lines };
}

/** A single value as YAML would read it: `3e-4` is a number, `true` a boolean, anything that isn't a scalar stays text. */
export function parseScalar(text: string): unknown {
  try {
    const value = load(text, { schema: CORE_SCHEMA, maxAliases: 0, maxDepth: MAX_DEPTH });
    return typeof value === 'object' && value !== null ? text : value;
  } catch {
    return text;
  }
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** For messages: what a value is, in a few words. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (isMapping(value)) return 'a mapping';
  if (typeof value === 'string') return `the text ${JSON.stringify(shorten(value))}`;
  return String(value);
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function parseOrThrow<T>(text: string, source: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw syntaxError(error, text, source);
  }
}

function syntaxError(error: unknown, text: string, source: string): ConfigError {
  const { reason, mark } = error as { reason?: string; mark?: { line: number; column: number } };
  const problem = reason ?? (error instanceof Error ? error.message : String(error));
  if (mark === undefined)
    return new ConfigError(`${source} is not valid YAML: ${problem}.\n  ${ADVICE}`, { cause: error });
  const lines = text.split(LINE_BREAK);
  // Where the text ends too early, the parser points behind it.
  let shown = mark.line;
  while (shown > 0 && !lines[shown]?.trim()) shown--;
  return new ConfigError(
    `${source} line ${mark.line + 1}, column ${mark.column + 1}: not valid YAML: ${problem}.\n` +
      `  Line ${shown + 1} reads: ${shorten(lines[shown] ?? '')}\n  ${adviceFor(lines, mark.line)}`,
    { cause: error },
  );
}

const LINE_BREAK = /\r\n|\n|\r/;
const ADVICE =
  'Write one `key: value` a line, indent the keys of a section by two spaces, and put a space after the colon.';

function adviceFor(lines: readonly string[], at: number): string {
  if (/^ *\t/.test(lines[at] ?? '')) return 'YAML forbids tabs in the indentation: use two spaces.';
  // The parser stumbles over a colon that isn't one only when it meets the next key.
  const wide = [at, at - 1].find((line) => lines[line]?.includes('：'));
  return wide === undefined
    ? ADVICE
    : `Line ${wide + 1} has a full-width colon (：): write an ASCII colon and a space.`;
}

function refuseAnchors(events: readonly Event[], text: string, source: string, lineAt: LineFinder): void {
  for (const event of events) {
    if (!('anchorStart' in event) || event.anchorStart < 0) continue;
    const name = text.slice(event.anchorStart - 1, event.anchorEnd);
    throw new ConfigError(
      `${source} line ${lineAt(event.anchorStart)}: anchors and aliases (${shorten(name)}) are not allowed in a configuration.\n` +
        '  Write the value out where it is needed; text that starts with & or * needs quotes.',
    );
  }
}

/** No document, or one whose content is absent: a file of nothing but comments. */
function isEmpty(events: readonly Event[]): boolean {
  const content = events[1];
  return content === undefined || (content.type === EVENT_ID.SCALAR && content.valueStart < 0);
}

function firstLine(events: readonly Event[], lineAt: LineFinder): number {
  const content = events[1];
  if (content.type === EVENT_ID.SCALAR) return lineAt(content.valueStart);
  return 'start' in content ? lineAt(content.start) : 1;
}

/** Walks the flat event stream: inside a mapping, keys and values alternate. Refuses a key that stands twice in one mapping. */
function keyLines(events: readonly Event[], text: string, source: string, lineAt: LineFinder): Map<string, number> {
  const lines = new Map<string, number>();
  let at = 1;
  const skipNode = (path: string): void => {
    const event = events[at++];
    if (event.type !== EVENT_ID.MAPPING && event.type !== EVENT_ID.SEQUENCE) return;
    const seen = new Map<string, number>();
    while (events[at].type !== EVENT_ID.POP) {
      if (event.type === EVENT_ID.SEQUENCE) skipNode(path);
      else skipPair(path, seen);
    }
    at++;
  };
  const skipPair = (path: string, seen: Map<string, number>): void => {
    const key = events[at];
    let keyPath = path;
    if (key.type === EVENT_ID.SCALAR) {
      const name = getScalarValue(text, key);
      const line = lineAt(Math.max(0, key.valueStart));
      keyPath = path === '' ? name : `${path}.${name}`;
      if (seen.has(name)) throw duplicateKey(keyPath, source, line, seen.get(name) as number);
      seen.set(name, line);
      lines.set(keyPath, line);
    }
    skipNode(keyPath);
    skipNode(keyPath);
  };
  skipNode('');
  return lines;
}

function duplicateKey(path: string, source: string, line: number, firstLine: number): ConfigError {
  return new ConfigError(
    `${source} line ${line}: ${path} is set a second time; it already stands in line ${firstLine}.\n  Keep one of the two.`,
  );
}

/** Offset in the text -> line, from 1. */
type LineFinder = (offset: number) => number;

function createLineFinder(text: string): LineFinder {
  const starts = [0, ...Array.from(text.matchAll(/\r\n|\n|\r/g), (match) => match.index + match[0].length)];
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
