// The keys: in one line at the bottom as many as fit, and all of them with what they do in the help.

import { composeLine, flowParts, textLine } from '../line.js';
import { padEnd, widthOf } from '../text.js';
import type { Panel, PanelContext } from './panel.js';

interface Binding {
  readonly key: string;
  readonly label: (context: PanelContext) => string;
  readonly help: string;
  /** Acts on the run, so it isn't there for who only watches. */
  readonly needsRun?: boolean;
  /** Who stays in the footer when there is no room. */
  readonly keep: number;
  readonly needsAsk?: boolean;
}

const BINDINGS: readonly Binding[] = [
  { key: 'q', label: () => 'stop', help: 'stop and save; again: stop now', keep: 10, needsRun: true },
  { key: 'p', label: ({ isPaused }) => (isPaused ? 'resume' : 'pause'), help: 'pause, go on', keep: 8, needsRun: true },
  { key: 's', label: () => 'save', help: 'save after this step', keep: 7, needsRun: true },
  { key: 'e', label: () => 'evaluate', help: 'evaluate after this step', keep: 6, needsRun: true },
  { key: 'a', label: () => 'ask', help: 'ask the model while it trains', keep: 5, needsAsk: true },
  { key: '+/-', label: () => 'workers', help: 'one worker more, one less', keep: 3, needsRun: true },
  {
    key: 'f',
    label: ({ ui }) => (ui.isFrozen ? 'unfreeze' : 'freeze'),
    help: 'freeze the view, not the run',
    keep: 2,
  },
  { key: '1-3', label: () => 'enlarge', help: 'enlarge loss, workers or answers', keep: 4 },
  {
    key: 'l',
    label: ({ ui }) => (ui.scale === 'log' ? 'linear' : 'log'),
    help: 'log or linear scale',
    keep: 1,
  },
  { key: '?', label: () => 'help', help: 'this help', keep: 9 },
];

/** While a question is typed, letters are its text. */
const TYPING: readonly Pick<Binding, 'key' | 'label' | 'keep'>[] = [
  { key: 'Enter', label: () => 'ask', keep: 3 },
  { key: 'Esc', label: () => 'close', keep: 2 },
  { key: 'Ctrl-C', label: ({ isWatching }) => (isWatching ? 'leave' : 'stop'), keep: 1 },
];

const LEAVE: Binding = { key: 'q', label: () => 'leave', help: 'leave; the run goes on', keep: 10 };

export const footer: Panel = {
  title: () => ({ left: '' }),
  body: (context, width) => {
    const { ui, paint, now } = context;
    if (ui.toast !== null && now < ui.toast.until) return [textLine(paint, width, ui.toast.text, 'bold')];
    if (ui.quit === 'now') return [textLine(paint, width, 'stopping now', 'yellow')];
    if (ui.quit === 'stopping') return [textLine(paint, width, quitText(width), 'yellow')];
    const present = ui.ask?.phase === 'typing' ? TYPING : bindings(context);
    const parts = present.map(({ key, label, keep }) => ({
      text: `${paint('bold', key)} ${paint('dim', label(context))}`,
      keep,
    }));
    return [composeLine(paint, width, parts)];
  },
};

export const helpPanel: Panel = {
  title: () => ({ left: 'keys', right: '? or Esc closes' }),
  body: (context, width, height) => {
    const { paint } = context;
    const lines = bindings(context).map(({ key, help }) => {
      const room = Math.max(1, width - 5);
      return `${paint('bold', padEnd(key, 3))}  ${textLine(paint, room, help)}`;
    });
    const more = ['Ctrl-C  as q', 'Ctrl-Z  suspend', 'Ctrl-L  draw the screen again', 'Esc     close what is open'];
    const all = [...lines, ...more.map((line) => padEnd(line, width))];
    if (all.length > height) return inFewWords(context, width).slice(0, height);
    return all.length < height ? all.toSpliced(lines.length, 0, padEnd('', width)) : all;
  },
};

/** All keys in as few lines as they take. */
function inFewWords(context: PanelContext, width: number): string[] {
  const more = { 'Ctrl-C': bindings(context)[0].label(context), 'Ctrl-Z': 'suspend', 'Ctrl-L': 'redraw', Esc: 'close' };
  const keys = [...bindings(context).map(({ key, label }) => [key, label(context)]), ...Object.entries(more)];
  const parts = keys.map(([key, label]) => ({
    text: `${context.paint('bold', key)} ${context.paint('dim', label)}`,
    keep: 1,
  }));
  return flowParts(context.paint, width, parts);
}

function bindings(context: PanelContext): Binding[] {
  if (context.isWatching) return [LEAVE, ...BINDINGS.filter((binding) => !binding.needsRun && !binding.needsAsk)];
  return BINDINGS.filter((binding) => !binding.needsAsk || context.canAsk);
}

/** The longest that fits. */
function quitText(width: number): string {
  const texts = [
    'stopping after this step, everything is saved.  q again: stop at once, without saving',
    'stopping after this step and saving.  q again: at once, without saving',
  ];
  return texts.find((text) => widthOf(text) <= width) ?? 'stopping and saving.  q again: now';
}
