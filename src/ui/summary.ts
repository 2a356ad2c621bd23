// The last words of a run: what came out of it, where it lies, what to do next.

import { formatCount, formatDuration, formatLoss, formatMs } from './format.js';
import type { ViewState } from './state.js';
import { clean, wrap } from './text.js';

const WIDTH = 80;
const LABEL_WIDTH = 11;
/** Where `train` looks without being told. */
const DEFAULT_SAVE_DIR = 'checkpoints';
/** Longer prompts make a command nobody wants to see. */
const LONGEST_PROMPT = 24;

/** Lines for the normal screen, each ended; empty before the run has ended. With warnings where they scrolled by unseen. */
export function formatSummary(view: ViewState, options: { hasWarnings: boolean }): string {
  if (view.end === null) return '';
  const lines = [
    ...wrap(headline(view), WIDTH),
    ...labelled('time', timeText(view)),
    ...(view.end.step > 0 ? labelled('loss', lossText(view)) : []),
    ...(view.saved.length > 0 ? labelled('saved', view.saved.map((event) => clean(event.path)).join(', ')) : []),
    ...(options.hasWarnings ? view.warnings.flatMap((entry) => labelled('warning', entry.text)) : []),
    ...nextLines(view).map((command) => `  ${'next'.padEnd(LABEL_WIDTH - 2)}${command}`),
  ];
  return `${lines.join('\n')}\n`;
}

function headline({ end, start }: ViewState): string {
  if (end === null) return '';
  const steps = formatCount(end.step);
  const texts: Record<typeof end.reason, string> = {
    done: `Done: ${steps} steps`,
    stopped: `Stopped after step ${steps} of ${formatCount(start?.maxSteps ?? end.step)}`,
    'early-stopping': `Stopped early after step ${steps}: no better evaluation any more`,
    diverged: `Diverged at step ${steps}: the loss is no longer a number`,
  };
  return texts[end.reason];
}

function timeText({ end }: ViewState): string {
  if (end === null) return '';
  const texts = [
    formatDuration(end.elapsedMs),
    end.medianStepMs === null ? '' : `median step ${formatMs(end.medianStepMs)}`,
    end.tokensPerSec === null ? '' : `${formatCount(end.tokensPerSec)} tokens/s`,
  ];
  return texts.filter((text) => text !== '').join(', ');
}

function lossText({ end, bestStep }: ViewState): string {
  if (end === null) return '';
  const at = bestStep === null ? '' : ` at step ${formatCount(bestStep)}`;
  return [
    `training ${formatLoss(end.trainLoss)}`,
    `evaluation ${formatLoss(end.lastEvalLoss)}`,
    `best ${formatLoss(end.bestEvalLoss)}${end.bestEvalLoss === null ? '' : at}`,
  ].join(', ');
}

/** Commands stay on one line however long, so that they can be copied. */
function nextLines(view: ViewState): string[] {
  if (view.end?.reason === 'diverged') return ['train again with a lower learning rate: --set training.lr=…'];
  const folder = (view.saved.find((event) => event.kind === 'best') ?? view.saved[0])?.path;
  const ask =
    folder === undefined ? [] : [`npx gpt-loom infer --ckpt ${quote(folder)} --prompt ${quote(examplePrompt(view))}`];
  return view.end?.reason === 'stopped' ? [trainCommand(view), ...ask] : ask;
}

/** What goes on with a stopped run, or begins it again where nothing was saved. */
function trainCommand({ start, saved }: ViewState): string {
  const saveDir = start?.saveDir ?? DEFAULT_SAVE_DIR;
  const folder = saveDir === DEFAULT_SAVE_DIR ? '' : ` --save-dir ${quote(saveDir)}`;
  return `npx gpt-loom train${saved.length > 0 || (start?.startStep ?? 0) > 0 ? ' --resume' : ''}${folder}`;
}

/** A short prompt of the validation set, if possible one that the model answered rightly. */
function examplePrompt({ samples }: ViewState): string {
  const items = (samples?.items ?? []).filter(({ prompt }) => [...prompt].length <= LONGEST_PROMPT);
  const item = items.find(({ answer, expected }) => answer.trim() === expected.trim()) ?? items[0];
  return item === undefined ? '什么是GPT？' : clean(item.prompt);
}

/** As a POSIX shell reads one word. */
function quote(word: string): string {
  if (/^[\w./-]+$/.test(word)) return word;
  return /["$`\\!]/.test(word) ? `'${word.replaceAll("'", "'\\''")}'` : `"${word}"`;
}

function labelled(label: string, text: string): string[] {
  const lines = wrap(text, WIDTH - LABEL_WIDTH);
  return lines.map((line, i) => `  ${(i === 0 ? label : '').padEnd(LABEL_WIDTH - 2)}${line}`);
}
