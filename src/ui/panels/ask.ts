// A question to the model as it is now, and its answer, while training goes on.

import { textLine } from '../line.js';
import { keepEnd, padEnd, wrap } from '../text.js';
import type { Panel } from './panel.js';

export const askPanel: Panel = {
  title: ({ ui }) => ({
    left: 'ask the model',
    right: ui.ask?.phase === 'typing' ? undefined : 'Esc closes',
  }),
  body: ({ ui, paint }, width, height) => {
    const { ask } = ui;
    if (ask === null) return [];
    if (ask.phase === 'typing') return [padEnd(`> ${keepEnd(ask.prompt, width - 3)}▏`, width)];
    const question = textLine(paint, width, `> ${ask.prompt}`, 'dim');
    if (ask.phase === 'waiting') return [question, textLine(paint, width, 'thinking…', 'dim')];
    return [question, ...wrap(ask.answer, width, Math.max(1, height - 1)).map((line) => padEnd(line, width))];
  },
};
