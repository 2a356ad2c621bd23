// The last words of a run: what came out of it, where it lies, what to do next.

import { formatCount, formatDuration, formatLoss, formatMs } from './format.js';
import { quoteWord } from './shell.js';
import type { ViewState } from './state.js';
import { clean, wrap } from './text.js';

const WIDTH = 80;
const LABEL_WIDTH = 11;
/** Where `train` looks without being told. */
const DEFAULT_SAVE_DIR = 'checkpoints';
/** Longer prompts make a command nobody wants to see. */
const LONGEST_PROMPT = 24;

export interface SummaryOptions {
  /** Where they scrolled by unseen. */
  readonly hasWarnings: boolean;
  /** What `train` was told on the command line, as one types it; undefined where that isn't known. */
  readonly trainFlags?: string;
}

/** Lines for the normal screen, each ended; empty before the run has ended. */
export function formatSummary(view: ViewState, options: SummaryOptions): string {
  if (view.end === null) return '';
  const lines = [
    ...wrap(headline(view), WIDTH),
    ...labelled('time', timeText(view)),
    ...(view.end.step > 0 ? labelled('loss', lossText(view)) : []),
    ...(view.saved.length > 0 ? labelled('saved', view.saved.map((event) => clean(event.path)).join(', ')) : []),
    ...(options.hasWarnings ? view.warnings.flatMap((entry) => labelled('warning', entry.text)) : []),
    ...nextLines(view, options.trainFlags).map((command) => `  ${'next'.padEnd(LABEL_WIDTH - 2)}${command}`),
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
function nextLines(view: ViewState, trainFlags: string | undefined): string[] {
  if (view.end?.reason === 'diverged') return ['train again with a lower learning rate: --set training.lr=…'];
  const folder = bestFolder(view);
  const ask =
    folder === undefined
      ? []
      : [`npx gpt-loom infer --ckpt ${quoteWord(folder)} --prompt ${quoteWord(examplePrompt(view))}`];
  return view.end?.reason === 'stopped' ? [trainCommand(view, trainFlags), ...ask] : ask;
}

/** The best weights, of this process or of the one it resumed; before any evaluation the last ones. */
function bestFolder({ saved, start, end }: ViewState): string | undefined {
  const hasBest = start !== null && end !== null && end.bestEvalLoss !== null;
  const path = (kind: string) => saved.find((event) => event.kind === kind)?.path;
  return path('best') ?? (hasBest ? `${withoutSlash(start.saveDir)}/best` : (path('last') ?? saved[0]?.path));
}

function withoutSlash(folder: string): string {
  return folder.replace(/(?<=.)\/+$/, '');
}

/** What goes on with a stopped run, or begins it again where nothing was saved. With other settings it would be another run. */
function trainCommand({ start, saved }: ViewState, flags: string | undefined): string {
  const saveDir = withoutSlash(start?.saveDir ?? DEFAULT_SAVE_DIR);
  const folder = saveDir === DEFAULT_SAVE_DIR ? '' : ` --save-dir ${quoteWord(saveDir)}`;
  const resume = saved.some(({ kind }) => kind === 'last') || (start?.startStep ?? 0) > 0 ? ' --resume' : '';
  return `npx gpt-loom train${resume}${flags ?? folder}`;
}

/** A short prompt of the validation set, of those that were answered rightly the one with most to say: a refusal if there is no other. */
function examplePrompt({ samples }: ViewState): string {
  const items = (samples?.items ?? []).filter(({ prompt }) => [...prompt].length <= LONGEST_PROMPT);
  const right = items.filter(({ answer, expected }) => answer.trim() === expected.trim());
  const [item] = (right.length > 0 ? right : items).toSorted((a, b) => b.expected.length - a.expected.length);
  return item === undefined ? '什么是GPT？' : clean(item.prompt);
}

function labelled(label: string, text: string): string[] {
  const lines = wrap(text, WIDTH - LABEL_WIDTH);
  return lines.map((line, i) => `  ${(i === 0 ? label : '').padEnd(LABEL_WIDTH - 2)}${line}`);
}
