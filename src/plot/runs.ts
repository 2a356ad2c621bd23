// The picture of one or several runs: loss, learning rate and tokens per second over steps, one below the other. Pure.

import * as Plot from '@observablehq/plot';
import type { SeriesPoint } from '../ui/series.js';
import { widthOf } from '../ui/text.js';
import type { RunCurves } from './curves.js';
import { LABELS, type Labels, type Language } from './labels.js';
import { colourOf, drawPlot, escapeXml, MARGIN_LEFT, MARGIN_RIGHT, type Piece, stack, WIDTH } from './svg.js';
import { formatCountTick, formatTick, logTicks } from './ticks.js';

const LOSS_HEIGHT = 340;
const SMALL_HEIGHT = 190;

/** The text of an SVG file. At least one run. */
export function drawRuns(runs: readonly RunCurves[], language: Language): string {
  const labels = LABELS[language];
  const title = `${labels.title}: ${runs.map(({ name }) => name).join(', ')}`;
  const first = Math.min(...runs.map(({ figures }) => figures.firstStep));
  const last = Math.max(...runs.map(({ figures }) => figures.lastStep));
  const steps = {
    domain: [first, Math.max(last, first + 1)],
    label: labels.step,
    labelArrow: 'none',
    tickFormat: formatCountTick,
  } as const;
  return stack(title, [
    legend(runs, labels),
    lossPlot(runs, labels, steps),
    smallPlot(runs, steps, {
      label: labels.learningRate,
      tickFormat: formatTick,
      of: (run) => run.learningRate,
    }),
    smallPlot(runs, steps, {
      label: labels.tokensPerSec,
      tickFormat: formatCountTick,
      of: (run) => run.tokensPerSec,
    }),
  ]);
}

function lossPlot(runs: readonly RunCurves[], labels: Labels, steps: Plot.ScaleOptions): Piece {
  // A logarithm has no place for 0; a loss that small is none that training reaches.
  const positive = (points: readonly SeriesPoint[]) => points.filter(({ y }) => y > 0);
  const values = runs.flatMap((run) => [...positive(run.trainLoss), ...positive(run.evalLoss)].map(({ y }) => y));
  const [low, high] = values.length > 0 ? [Math.min(...values), Math.max(...values)] : [0.1, 10];
  const domain = [low * 0.95, high * 1.05];
  return drawPlot({
    height: LOSS_HEIGHT,
    x: steps,
    y: {
      type: 'log',
      domain,
      ticks: logTicks(domain[0], domain[1]),
      tickFormat: formatTick,
      label: labels.loss,
      labelArrow: 'none',
      grid: true,
    },
    marks: runs.flatMap((run, i) => [
      line(positive(run.trainLoss), i),
      Plot.dot(positive(run.evalLoss), {
        x: 'x',
        y: 'y',
        fill: colourOf(i),
        stroke: '#ffffff',
        strokeWidth: 1,
        r: 3.5,
        ariaLabel: 'evaluation',
      }),
    ]),
  });
}

interface SmallPlot {
  readonly label: string;
  readonly tickFormat: (value: number) => string;
  of(run: RunCurves): readonly SeriesPoint[];
}

function smallPlot(runs: readonly RunCurves[], steps: Plot.ScaleOptions, { label, tickFormat, of }: SmallPlot): Piece {
  return drawPlot({
    height: SMALL_HEIGHT,
    x: steps,
    y: { zero: true, nice: true, ticks: 5, tickFormat, label, labelArrow: 'none', grid: true },
    marks: runs.map((run, i) => line(of(run), i)),
  });
}

function line(points: readonly SeriesPoint[], index: number): Plot.RenderableMark {
  return Plot.line(points, { x: 'x', y: 'y', stroke: colourOf(index), strokeWidth: 1.75 });
}

const ROW_HEIGHT = 22;
const LEGEND_TOP = 14;
/** Of a letter in the font of the legend, in pixels; a Chinese character is two wide. */
const LETTER = 7;
const SWATCH = 26;
const GAP = 22;

/** What line and dot mean, then the runs by their colours, in as many rows as they need. */
function legend(runs: readonly RunCurves[], labels: Labels): Piece {
  const entries = [
    { text: labels.training, sign: strokeSign('currentColor') },
    { text: labels.evaluation, sign: '<circle cx="9" cy="-4" r="3.5"/>' },
    ...runs.map(({ name }, i) => ({ text: shorten(name), sign: strokeSign(colourOf(i)) })),
  ];
  let x = MARGIN_LEFT;
  let row = 0;
  const texts = entries.map(({ text, sign }) => {
    const width = SWATCH + widthOf(text) * LETTER;
    if (x + width > WIDTH - MARGIN_RIGHT && x > MARGIN_LEFT) {
      x = MARGIN_LEFT;
      row++;
    }
    const at = `translate(${x},${LEGEND_TOP + (row + 0.5) * ROW_HEIGHT})`;
    x += width + GAP;
    return `<g transform="${at}">${sign}<text x="${SWATCH}">${escapeXml(text)}</text></g>`;
  });
  const svg = `<g aria-label="legend">\n${texts.join('\n')}\n</g>`;
  return { height: LEGEND_TOP + (row + 1) * ROW_HEIGHT, svg };
}

function strokeSign(colour: string): string {
  return `<path d="M0,-4H18" stroke="${colour}" stroke-width="2.5" fill="none"/>`;
}

/** A long path by its end, which is what tells runs apart. */
function shorten(name: string): string {
  const characters = [...name];
  return characters.length > 48 ? `…${characters.slice(-47).join('')}` : name;
}
