// The picture of a tuning: a bar for each setting that was measured, with its spread, grouped by threads; a frame around the best
// one for what another precision makes of it. Pure.

import * as Plot from '@observablehq/plot';
import { type Measurement, relativeSpread, tokensPerSec } from '../tune/measurement.js';
import { type PrecisionComparison, timesAsFast } from '../tune/precisions.js';
import type { Recommendation } from '../tune/recommend.js';
import { isSame } from '../tune/settings.js';
import { colourOf, drawPlot, escapeXml, MARGIN_LEFT, stack } from './svg.js';
import { formatCountTick } from './ticks.js';

const HEIGHT = 380;
const HEAD_HEIGHT = 44;
/** Of the settings that aren't recommended. */
const QUIET = '#b8c0cc';

/** The text of an SVG file. */
export function drawTuning(
  measurements: readonly Measurement[],
  recommendation: Recommendation,
  comparison: PrecisionComparison | null = null,
): string {
  const frames = comparison === null ? [] : [frameOf(comparison, recommendation)];
  const bars = measurements
    .filter(({ visits }) => visits.length > 0)
    .map((measurement) => {
      const { threads, microBatch } = measurement.setting;
      const speed = tokensPerSec(measurement);
      const error = measurement.visits.length < 2 ? 0 : speed * relativeSpread(measurement);
      const isBest = isSame(measurement.setting, recommendation.setting);
      return { threads, microBatch, speed, low: speed - error, high: speed + error, isBest };
    });
  const plot = drawPlot({
    height: HEIGHT,
    marginBottom: 44,
    fx: { label: null, tickFormat: (threads: number) => (threads === 1 ? '1 thread' : `${threads} threads`) },
    x: { label: 'micro_batch', labelAnchor: 'center', labelArrow: 'none', type: 'band', padding: 0.15 },
    y: {
      label: 'tokens per second',
      labelArrow: 'none',
      grid: true,
      zero: true,
      nice: true,
      ticks: 6,
      tickFormat: formatCountTick,
    },
    marks: [
      Plot.barY(bars, {
        fx: 'threads',
        x: 'microBatch',
        y: 'speed',
        fill: (bar: { isBest: boolean }) => (bar.isBest ? colourOf(0) : QUIET),
      }),
      Plot.barY(frames, {
        fx: 'threads',
        x: 'microBatch',
        y: 'speed',
        fill: 'none',
        stroke: colourOf(1),
        strokeWidth: 1.5,
        strokeDasharray: '4,3',
      }),
      Plot.text(frames, { fx: 'threads', x: 'microBatch', y: 'speed', text: 'name', dy: -8, fill: colourOf(1) }),
      Plot.ruleX(bars, { fx: 'threads', x: 'microBatch', y1: 'low', y2: 'high', strokeWidth: 1.5 }),
    ],
  });
  const { threads, microBatch } = recommendation.setting;
  const verb = recommendation.doubts.length > 0 ? 'probably best' : 'best';
  const best = `${verb}: threads ${threads}, micro_batch ${microBatch}, ${formatCountTick(Math.round(recommendation.tokensPerSec))} tokens/s`;
  const text = frames.length === 0 ? best : `${best}; ${frames[0].name}: ${frames[0].times.toFixed(2)} times as fast`;
  const head = `<text x="${MARGIN_LEFT}" y="28" font-size="14" font-weight="bold">${escapeXml(text)}</text>`;
  return stack(text, [{ height: HEAD_HEIGHT, svg: head }, plot]);
}

/** As high as the recommended bar times what the other precision gains: the two bars were measured at different moments. */
function frameOf(comparison: PrecisionComparison, { setting, tokensPerSec: speed }: Recommendation) {
  const times = timesAsFast(comparison).value;
  const name = comparison.isEmulated ? `${comparison.precisions.other} (emulated)` : comparison.precisions.other;
  return { ...setting, speed: speed * times, times, name };
}
