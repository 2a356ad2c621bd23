// Where the time of a step goes: a bar per phase, or one bar for all where there is little room.

import { bar, splitColumns } from '../charts/blocks.js';
import { type PhaseShare, phaseShares, stepMsNow } from '../figures.js';
import { formatMs, formatPercent } from '../format.js';
import { flowParts, textLine } from '../line.js';
import type { Style } from '../paint.js';
import { padEnd, padStart, widthOf } from '../text.js';
import type { Panel, PanelContext } from './panel.js';

/** Each phase has its colour, and its own shade in the common bar for eyes and terminals without colour. */
const LOOKS: Readonly<Record<string, { readonly style: Style | undefined; readonly shade: string }>> = {
  forward: { style: 'cyan', shade: '█' },
  backward: { style: 'blue', shade: '▓' },
  reduce: { style: 'magenta', shade: '▒' },
  update: { style: 'yellow', shade: '░' },
  wait: { style: 'dim', shade: '·' },
  evaluation: { style: 'green', shade: '=' },
  other: { style: undefined, shade: '-' },
};
/** In a legend that would be too long. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  forward: 'fwd',
  backward: 'bwd',
  update: 'upd',
  evaluation: 'eval',
};
/** Rows of the list that always stand there; `evaluation` and `other` come as the height allows. */
const LEAST_ROWS = 5;
const NAME_WIDTH = 10;
const MS_WIDTH = 7;
const SHARE_WIDTH = 5;

export const stepTimePanel: Panel = {
  title: ({ view }) => {
    const ms = stepMsNow(view);
    return { left: 'where a step goes', right: ms === null ? undefined : formatMs(ms) };
  },
  body: (context, width, height) => {
    const phases = phaseShares(context.view);
    if (phases.length === 0) return [textLine(context.paint, width, 'after the first step', 'dim')];
    return height >= LEAST_ROWS ? list(context, phases, width, height) : commonBar(context, phases, width, height);
  },
};

function list({ paint }: PanelContext, phases: readonly PhaseShare[], width: number, height: number): string[] {
  const room = Math.max(0, width - NAME_WIDTH - MS_WIDTH - SHARE_WIDTH - 3);
  return phases.slice(0, height).map(({ name, ms, share }) => {
    const filled = bar(share, room);
    const rest = ' '.repeat(Math.max(0, room - widthOf(filled)));
    const figures = `${padStart(formatMs(ms), MS_WIDTH)} ${padStart(formatPercent(share), SHARE_WIDTH)}`;
    return `${padEnd(name, NAME_WIDTH)} ${paint(LOOKS[name].style, filled)}${rest} ${figures}`;
  });
}

function commonBar({ paint }: PanelContext, phases: readonly PhaseShare[], width: number, height: number): string[] {
  const columns = splitColumns(
    phases.map((phase) => phase.share),
    width,
  );
  const line = phases.map(({ name }, i) => paint(LOOKS[name].style, LOOKS[name].shade.repeat(columns[i]))).join('');
  const used = columns.reduce((a, b) => a + b, 0);
  const shown = phases.filter((_, i) => columns[i] > 0);
  const legend = (nameOf: (name: string) => string) =>
    flowParts(
      paint,
      width,
      shown.map(({ name, share }) => ({
        label: LOOKS[name].shade,
        text: `${nameOf(name)} ${formatPercent(share)}`,
        keep: 1,
      })),
    );
  const whole = legend((name) => name);
  const lines = whole.length < height ? whole : legend((name) => SHORT_NAMES[name] ?? name);
  return [line + ' '.repeat(Math.max(0, width - used)), ...lines].slice(0, height);
}
