// The last things that happened, the newest at the bottom. A warning stays in sight for a while.

import { formatClock } from '../format.js';
import type { Style } from '../paint.js';
import type { LogEntry } from '../state.js';
import { padEnd, wrap } from '../text.js';
import type { Panel, PanelContext } from './panel.js';

/** How long a warning keeps its place although newer things have happened; where there is only one, they need it sooner. */
const WARNING_MS = 60_000;
const WARNING_ALONE_MS = 30_000;
const STYLES: Readonly<Record<LogEntry['level'], Style | undefined>> = {
  info: undefined,
  good: 'green',
  warning: 'red',
};
/** Lines that one entry may take. */
const MOST_LINES = 3;

export const eventsPanel: Panel = {
  title: () => ({ left: 'events' }),
  body: (context, width, height) => {
    const mostLines = height > MOST_LINES ? MOST_LINES : 1;
    const warning = lingeringWarning(context, height > 1 ? WARNING_MS : WARNING_ALONE_MS);
    let lines: string[] = [];
    for (const entry of [...context.view.log].reverse()) {
      const more = entryLines(entry, context, width, mostLines);
      if (lines.length + more.length > height) {
        if (warning !== null && entry.at >= warning.at) {
          const kept = entryLines(warning, context, width, mostLines);
          lines = [...kept, ...lines.slice(Math.max(0, lines.length + kept.length - height))];
        }
        break;
      }
      lines = [...more, ...lines];
    }
    return lines;
  },
};

function lingeringWarning({ view, now }: PanelContext, ms: number): LogEntry | null {
  const warning = view.warnings.at(-1);
  return warning !== undefined && now - view.startedAt - warning.at < ms ? warning : null;
}

function entryLines(entry: LogEntry, { paint }: PanelContext, width: number, mostLines: number): string[] {
  const clock = formatClock(entry.at);
  const mark = entry.level === 'warning' ? ' ! ' : '  ';
  const indent = clock.length + mark.length;
  const room = Math.max(1, width - indent);
  return wrap(entry.text, room, mostLines).map((line, i) => {
    const before = i === 0 ? paint('dim', clock) + paint(STYLES[entry.level], mark) : ' '.repeat(indent);
    return before + paint(STYLES[entry.level], padEnd(line, room));
  });
}
