// Tokens per second over the run: shows a machine that gets hot, or another program that takes a core.

import { drawChart } from '../charts/braille.js';
import { chartSteps, tokensPerSecMean, tokensPerSecNow } from '../figures.js';
import { formatCount, NOTHING } from '../format.js';
import { pointsOf } from '../series.js';
import type { Panel } from './panel.js';

export const throughputPanel: Panel = {
  title: ({ view }) => {
    const [now, mean] = [tokensPerSecNow(view), tokensPerSecMean(view)];
    const text = (value: number | null) => (value === null ? NOTHING : formatCount(value));
    return { left: 'tokens per second', right: `now ${text(now)}, mean ${text(mean)}` };
  },
  body: ({ view, paint }, width, height) =>
    drawChart(
      {
        width,
        height,
        x: chartSteps(view),
        scale: 'linear',
        line: pointsOf(view.throughput),
        marks: [],
        mark: '',
        lineStyle: 'green',
        markStyle: 'green',
      },
      paint,
    ),
};
