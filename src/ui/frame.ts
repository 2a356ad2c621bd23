// The text of a whole frame: every panel drawn into its cell, and the cells put side by side. Pure.

import { hasSamples } from './figures.js';
import { type Cell, chooseLayout, type PanelName } from './layout.js';
import { askPanel } from './panels/ask.js';
import { eventsPanel } from './panels/events.js';
import { footer, helpPanel } from './panels/footer.js';
import { lossPanel } from './panels/loss.js';
import type { Panel, PanelContext } from './panels/panel.js';
import { samplesPanel } from './panels/samples.js';
import { compactStatus, header, oneLine, progressLine } from './panels/status.js';
import { stepTimePanel } from './panels/step-time.js';
import { throughputPanel } from './panels/throughput.js';
import { workersPanel } from './panels/workers.js';
import { truncate, widthOf } from './text.js';

const PANELS: Readonly<Record<PanelName, Panel>> = {
  header,
  progress: progressLine,
  status: compactStatus,
  loss: lossPanel,
  workers: workersPanel,
  stepTime: stepTimePanel,
  throughput: throughputPanel,
  samples: samplesPanel,
  events: eventsPanel,
  ask: askPanel,
  help: helpPanel,
  footer,
};

/** The rows from top to bottom, each exactly `columns` wide; at most one less than the terminal has. */
export function buildFrame(context: PanelContext, size: { columns: number; rows: number }): string[] {
  const workers = context.view.lastStep?.workers.length ?? context.view.start?.workers ?? 1;
  const bands = chooseLayout({ ...size, workers, hasSamples: hasSamples(context.view), ui: context.ui });
  if (bands === null) return [oneLine(context, size.columns)];
  return bands.flatMap((band) => {
    const columns = band.columns.map((cells) => cells.flatMap((cell) => drawCell(cell, context)));
    return columns[0].map((_, row) => columns.map((lines) => lines[row]).join(''));
  });
}

/** `height` lines of exactly `width` columns. */
function drawCell(cell: Cell, context: PanelContext): string[] {
  const { width, height } = cell;
  const panel = PANELS[cell.panel];
  // One free column at each side of the text; inside a box that comes on top of the border.
  const inner = width - (cell.border === 'box' ? 4 : 2);
  const rows = height - (cell.border === 'box' ? 2 : cell.border === 'rule' ? 1 : 0);
  const body = panel.body(context, inner, rows).slice(0, rows);
  const filled = [...body, ...new Array<string>(rows - body.length).fill(' '.repeat(inner))];
  if (cell.border === 'none') return filled.map((line) => ` ${line} `);
  const { left, right = '' } = panel.title(context);
  const title = titleLine(context, width - 2, left, right);
  if (cell.border === 'rule') return [title, ...filled].map((line) => ` ${line} `);
  return boxed(context, width, title, filled);
}

function boxed({ paint }: PanelContext, width: number, title: string, lines: readonly string[]): string[] {
  const side = paint('dim', '│');
  return [
    paint('dim', '╭') + title + paint('dim', '╮'),
    ...lines.map((line) => `${side} ${line} ${side}`),
    paint('dim', `╰${'─'.repeat(width - 2)}╯`),
  ];
}

/** A horizontal line of `width` columns with a text near each end. */
function titleLine({ paint }: PanelContext, width: number, left: string, right: string): string {
  const rightText = widthOf(left) + widthOf(right) + 8 <= width && right !== '' ? ` ${right} ` : '';
  const leftText = ` ${truncate(left, width - 4)} `;
  const line = '─'.repeat(Math.max(0, width - 2 - widthOf(leftText) - widthOf(rightText)));
  return `${paint('dim', '─')}${paint('bold', leftText)}${paint('dim', `${line}${rightText}─`)}`;
}
