// What the model says by now: prompts of the validation set, its greedy answers, and whether they are right.

import type { SamplesEvent } from '../../trainer/events.js';
import { hasSamples } from '../figures.js';
import { formatCount } from '../format.js';
import { textLine } from '../line.js';
import { clean, padEnd, truncate, widthOf, wrap } from '../text.js';
import type { Panel, PanelContext } from './panel.js';

interface Item {
  readonly prompt: string;
  readonly answer: string;
  readonly expected: string;
  readonly isRight: boolean;
}

/** A prompt on the same line as its answer gets at most this share of it. */
const PROMPT_SHARE = 0.45;
const NO_ANSWER = '(nothing)';

export const samplesPanel: Panel = {
  title: ({ view }) => {
    if (view.samples === null) return { left: 'what it says' };
    const items = toItems(view.samples.items);
    const right = `${items.filter((item) => item.isRight).length} of ${items.length} right`;
    return { left: `what it says ${moment(view.samples)}`, right };
  },
  body: (context, width, height) => {
    const { view, paint } = context;
    if (view.samples === null) return [textLine(paint, width, silence(context), 'dim')];
    const items = toItems(view.samples.items);
    // The most detailed form that has room for all of them; the shortest takes one line each.
    for (const form of [wrapped, threeLines, twoLines]) {
      const lines = items.flatMap((item) => form(item, context, width));
      if (lines.length <= height) return lines;
    }
    return items.map((item) => oneLine(item, items, context, width)).slice(0, height);
  },
};

/** Answers are as old as the time allowed; the oldest and the newest step. */
function moment({ items }: SamplesEvent): string {
  const steps = items.map((item) => item.step);
  const [oldest, newest] = [Math.min(...steps), Math.max(...steps)];
  return oldest >= newest
    ? `at step ${formatCount(newest)}`
    : `at steps ${formatCount(oldest)} to ${formatCount(newest)}`;
}

/** Why there are no answers. */
function silence({ view }: PanelContext): string {
  if (view.start === null) return 'no answers yet';
  const { startStep, evalInterval } = view.start;
  if (!hasSamples(view)) return 'nothing is asked of a run without a dashboard of its own';
  return `its first answers come at step ${formatCount((Math.floor(startStep / evalInterval) + 1) * evalInterval)}`;
}

function toItems(items: SamplesEvent['items']): Item[] {
  return items.map((item) => {
    const [prompt, answer, expected] = [clean(item.prompt), clean(item.answer), clean(item.expected)];
    return { prompt, answer: answer === '' ? NO_ANSWER : answer, expected, isRight: answer === expected };
  });
}

function mark({ isRight }: Item, { paint }: PanelContext): string {
  return isRight ? paint('green', '✓') : paint('yellow', '✗');
}

function oneLine(item: Item, items: readonly Item[], context: PanelContext, width: number): string {
  const widest = Math.max(...items.map(({ prompt }) => widthOf(prompt)));
  const promptWidth = Math.min(widest, Math.floor((width - 4) * PROMPT_SHARE));
  const answerWidth = Math.max(0, width - promptWidth - 4);
  const prompt = context.paint('dim', padEnd(item.prompt, promptWidth));
  return `${mark(item, context)} ${prompt}  ${padEnd(item.answer, answerWidth)}`;
}

function twoLines(item: Item, context: PanelContext, width: number): string[] {
  const prompt = textLine(context.paint, width - 2, item.prompt, 'dim');
  return [`${mark(item, context)} ${prompt}`, `  ${padEnd(item.answer, width - 2)}`];
}

function threeLines(item: Item, context: PanelContext, width: number): string[] {
  const expected = truncate(`expected ${item.expected}`, width - 2);
  return [
    ...twoLines(item, context, width),
    ...(item.isRight ? [] : [`  ${textLine(context.paint, width - 2, expected, 'dim')}`]),
  ];
}

/** Everything in full, with a free line after each. */
function wrapped(item: Item, context: PanelContext, width: number): string[] {
  const { paint } = context;
  const indented = (text: string, style?: 'dim') =>
    wrap(text, width - 2).map((line) => `  ${textLine(paint, width - 2, line, style)}`);
  const [first, ...more] = wrap(item.prompt, width - 2);
  return [
    `${mark(item, context)} ${textLine(paint, width - 2, first, 'dim')}`,
    ...more.map((line) => `  ${textLine(paint, width - 2, line, 'dim')}`),
    ...indented(item.answer),
    ...(item.isRight ? [] : indented(`expected ${item.expected}`, 'dim')),
    ' '.repeat(width),
  ];
}
