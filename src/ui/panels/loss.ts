// Is it learning? The curve of the loss with the evaluations on it, the figures, and where the learning rate stands.

import { sparkline } from '../charts/blocks.js';
import { drawChart } from '../charts/braille.js';
import { chartSteps, currentStep, scheduleShare } from '../figures.js';
import { formatCount, formatLearningRate, formatLoss, formatNorm, NOTHING } from '../format.js';
import { composeLine, type Part } from '../line.js';
import { pointsOf } from '../series.js';
import { widthOf } from '../text.js';
import type { Panel, PanelContext } from './panel.js';

const EVALUATION_MARK = '●';
/** From this height on the panel has room for the line of the learning rate. */
const HEIGHT_FOR_RATE = 5;
const SCHEDULE_WIDTHS = { least: 8, most: 32 };
/** From here on the highest learning rate stands beside the present one. */
const WIDTH_FOR_PEAK = 50;

export const lossPanel: Panel = {
  title: ({ ui }) => ({ left: 'loss', right: ui.scale }),
  body: (context, width, height) => {
    const hasRate = height >= HEIGHT_FOR_RATE;
    const chartHeight = height - 1 - (hasRate ? 1 : 0);
    const lines = [numbersLine(context, width)];
    if (chartHeight > 0) lines.push(...chart(context, width, chartHeight));
    if (hasRate) lines.push(rateLine(context, width));
    return lines.slice(0, height);
  },
};

function numbersLine({ view, paint }: PanelContext, width: number): string {
  const loss = view.lastStep?.loss ?? null;
  const best = view.bestStep === null ? '' : ` at ${formatCount(view.bestStep)}`;
  const parts: Part[] = [
    { label: 'train', text: formatLoss(loss), style: Number.isFinite(loss ?? 0) ? 'bold' : 'red', keep: 9 },
    { label: 'smoothed', text: formatLoss(view.smoothedLoss), style: 'cyan', keep: 5 },
    {
      label: `${EVALUATION_MARK} eval`,
      text: formatLoss(view.lastEvaluation?.evalLoss ?? null),
      style: 'yellow',
      keep: 8,
    },
    { label: 'best', text: formatLoss(view.bestLoss) + best, style: 'green', keep: 7 },
  ];
  const total = parts.reduce((sum, part) => sum + widthOf(`${part.label} ${part.text}  `), -2);
  if (total <= width) return composeLine(paint, width, parts);
  // Narrow: the step of the best goes first, then the mark before "eval", then the smoothed loss.
  return composeLine(paint, width, [
    parts[0],
    parts[1],
    { ...parts[2], label: 'eval' },
    { ...parts[3], text: formatLoss(view.bestLoss) },
  ]);
}

function chart({ view, ui, paint }: PanelContext, width: number, height: number): string[] {
  return drawChart(
    {
      width,
      height,
      x: chartSteps(view),
      scale: ui.scale,
      line: pointsOf(view.trainLoss),
      marks: pointsOf(view.evalLoss),
      mark: EVALUATION_MARK,
      lineStyle: 'cyan',
      markStyle: 'yellow',
    },
    paint,
  );
}

function rateLine(context: PanelContext, width: number): string {
  const { view, paint } = context;
  const now = view.lastStep ? formatLearningRate(view.lastStep.lr) : NOTHING;
  const peak = view.start?.peakLr == null ? '' : ` of ${formatLearningRate(view.start.peakLr)}`;
  const lr: Part = { label: 'lr', text: width >= WIDTH_FOR_PEAK ? now + peak : now, keep: 9 };
  const grad: Part = { label: 'grad', text: view.lastStep ? formatNorm(view.lastStep.gradNorm) : NOTHING, keep: 8 };
  const room = width - widthOf(`lr ${lr.text}  `) - widthOf('grad 0.000  ');
  const columns = Math.min(SCHEDULE_WIDTHS.most, room);
  if (columns < SCHEDULE_WIDTHS.least) return composeLine(paint, width, [lr, grad]);
  return composeLine(paint, width, [lr, { text: schedule(context, columns), keep: 1 }, grad]);
}

/** Warm-up and cosine, with a stroke where the run stands. */
function schedule({ view, paint }: PanelContext, columns: number): string {
  const { start } = view;
  if (start === null) return ' '.repeat(columns);
  const stepAt = (column: number) => (column / Math.max(1, columns - 1)) * start.maxSteps;
  const shape = Array.from({ length: columns }, (_, column) => scheduleShare(start, stepAt(column)));
  const blocks = [...sparkline(shape, 1)];
  const here = Math.min(columns - 1, Math.round((currentStep(view) / Math.max(1, start.maxSteps)) * (columns - 1)));
  const past = blocks.slice(0, here).join('');
  return paint('cyan', past) + paint('bold', '│') + paint('dim', blocks.slice(here + 1).join(''));
}
