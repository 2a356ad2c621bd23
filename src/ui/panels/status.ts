// The lines above all panels: which run this is, and how far it has come.

import { bar } from '../charts/blocks.js';
import { currentStep, progress, remainingMs } from '../figures.js';
import {
  formatClock,
  formatCount,
  formatCounted,
  formatDuration,
  formatLoss,
  formatPercent,
  formatShort,
  NOTHING,
} from '../format.js';
import { composeLine, type Part } from '../line.js';
import type { Style } from '../paint.js';
import { clean, truncate, truncateStart, widthOf } from '../text.js';
import type { Panel, PanelContext } from './panel.js';

const NAME: Part = { text: 'gpt-loom', style: 'bold', keep: 9 };
const NO_TITLE = { left: '' };
/** `12:34`: an ETA under an hour never changes its width. */
const ETA_WIDTH = 5;
const LONGEST_FOLDER = 40;

/** One line: name, model, engine, workers, folder, elapsed time. */
export const header: Panel = {
  title: () => NO_TITLE,
  body: (context, width) => [composeLine(context.paint, width, [NAME, ...runParts(context)], [clockPart(context)])],
};

/** One line: step, bar, share, epoch, time left. */
export const progressLine: Panel = {
  title: () => NO_TITLE,
  body: (context, width) => {
    const { view, paint } = context;
    const left = `step ${stepText(context)}  `;
    const tail = [formatPercent(progress(view)).padStart(5), epochText(context), ''].filter((s) => s !== '').join('  ');
    const tag = tagPart(context);
    const right = `  ${tail}  `;
    const room = width - widthOf(left) - widthOf(right) - widthOf(tag.text);
    return [left + progressBar(context, Math.max(1, room)) + right + paint(tag.style, tag.text)];
  },
};

/** Two or three lines for narrow terminals: name, step, share, time left; bar; then the parts of the header that fit. */
export const compactStatus: Panel = {
  title: () => NO_TITLE,
  body: (context, width, height) => {
    const { view, paint } = context;
    const first = composeLine(
      paint,
      width,
      [
        { ...NAME, keep: 4 },
        { text: stepText(context), keep: 9 },
        { text: formatPercent(progress(view)).padStart(4), keep: 8 },
      ],
      [{ ...tagPart(context), keep: 7 }],
    );
    const third = composeLine(paint, width, runParts(context), [clockPart(context)]);
    return [first, progressBar(context, width), third].slice(0, height);
  },
};

/** The whole dashboard where there is no room for one: what fits of the most important figures. */
export function oneLine(context: PanelContext, width: number): string {
  const { view, paint } = context;
  return composeLine(paint, width, [
    { text: stepText(context), keep: 9 },
    { text: formatPercent(progress(view)), keep: 8 },
    { ...tagPart(context), keep: 7 },
    { label: 'loss', text: formatLoss(view.lastStep?.loss ?? null), keep: 6 },
  ]);
}

/** Milliseconds since the start event. */
function elapsed({ view, now }: PanelContext): number {
  return view.start === null ? 0 : (view.end === null ? now : Math.max(view.startedAt, now)) - view.startedAt;
}

function clockPart(context: PanelContext): Part {
  return { text: formatClock(elapsed(context)), keep: 8 };
}

function runParts({ view, paint }: PanelContext): Part[] {
  const { start } = view;
  if (start === null) return [{ text: paint('dim', 'preparing…'), keep: 5 }];
  const workers = view.lastStep?.workers.length ?? start.workers;
  const detail = start.engine.detail === '' ? '' : ` ${truncate(clean(start.engine.detail), 24)}`;
  return [
    { text: `${formatCount(start.parameterCount)} params`, keep: 6 },
    { text: `${start.shape.nLayer} layers x ${start.shape.nEmbd}`, keep: 2 },
    { text: `${start.engine.name}${detail} ${start.engine.precision}`, keep: 7 },
    { text: formatCounted(workers, 'worker'), keep: 5 },
    { text: truncateStart(clean(start.saveDir), LONGEST_FOLDER), keep: 3 },
  ];
}

function stepText({ view }: PanelContext): string {
  if (view.start === null) return NOTHING;
  const total = formatCount(view.start.maxSteps);
  return `${formatCount(currentStep(view)).padStart(total.length)}/${total}`;
}

function epochText({ view }: PanelContext): string {
  return view.lastStep === null ? '' : `epoch ${formatShort(Math.floor(view.lastStep.epoch))}`;
}

/** What the run is doing if that isn't plain training, else the time left. */
function tagPart(context: PanelContext): Part & { readonly style: Style | undefined } {
  const { view, ui } = context;
  const tag = (text: string, style: Style | undefined) => ({ text: text.padStart(ETA_WIDTH + 4), style, keep: 7 });
  if (view.end !== null) {
    const style = view.end.reason === 'diverged' ? 'red' : 'green';
    return tag(view.end.reason === 'early-stopping' ? 'stopped early' : view.end.reason, style);
  }
  const tags = [
    ui.quit === 'no' ? '' : 'stopping',
    context.isPaused ? 'paused' : '',
    ui.isFrozen ? 'frozen' : '',
  ].filter((text) => text !== '');
  if (tags.length > 0) return tag(tags.join(', '), 'yellow');
  const left = remainingMs(view);
  return tag(left === null ? 'ETA     -' : `ETA ${formatDuration(left).padStart(ETA_WIDTH)}`, undefined);
}

function progressBar({ view, paint }: PanelContext, width: number): string {
  const filled = bar(progress(view), width);
  return paint('green', filled) + paint('dim', '·'.repeat(Math.max(0, width - widthOf(filled))));
}
