// Which panel goes where, for any size of terminal. Heights add up to one row less than the terminal has:
// a frame as tall as the terminal would make it scroll.

import type { UiState } from './keys.js';

export type PanelName =
  | 'header'
  | 'progress'
  | 'status'
  | 'loss'
  | 'workers'
  | 'stepTime'
  | 'throughput'
  | 'samples'
  | 'events'
  | 'ask'
  | 'help'
  | 'footer';

export interface Cell {
  readonly panel: PanelName;
  readonly width: number;
  readonly height: number;
  /** A box around it, a line with its title above it, or nothing. */
  readonly border: 'box' | 'rule' | 'none';
}

/** Columns side by side, each a stack of cells of the same width; all as high as the band. */
export interface Band {
  readonly height: number;
  readonly columns: readonly (readonly Cell[])[];
}

export interface LayoutInput {
  readonly columns: number;
  readonly rows: number;
  readonly workers: number;
  /** False where nothing is asked of the model: others get the room of its answers. */
  readonly hasSamples: boolean;
  readonly ui: Pick<UiState, 'enlarged' | 'isHelpOpen' | 'ask'>;
}

export const SMALLEST = { columns: 40, rows: 12 };
/** From here on two panels stand side by side, and three. */
const COLUMNS_FOR_TWO = 72;
const THREE = { columns: 160, rows: 34 };
const ASK_HEIGHT = 4;
/** All phases, in a box. */
const STEP_TIME_HEIGHT = 9;

/** The bands from top to bottom, or null where the terminal is too small for any. */
export function chooseLayout(input: LayoutInput): Band[] | null {
  const { columns, rows, ui } = input;
  if (columns < SMALLEST.columns || rows < SMALLEST.rows) return null;
  const isNarrow = columns < COLUMNS_FOR_TWO;
  const top = isNarrow ? narrowTop(input) : wideTop(columns);
  const footer = single('footer', columns, 1);
  const height = rows - 1 - heightOf(top) - footer.height;
  const body = (ui.ask === null ? middle : withAsk)(input, height, isNarrow);
  return [...top, ...body, footer];
}

/** The question takes the place of the answers, or where they aren't shown, a few lines at the bottom. */
function withAsk(input: LayoutInput, height: number, isNarrow: boolean): Band[] {
  const body = middle(input, height, isNarrow);
  const hasSamples = body.some((band) => band.columns.some((cells) => cells.some((cell) => cell.panel === 'samples')));
  if (hasSamples) {
    const replace = (cell: Cell): Cell => (cell.panel === 'samples' ? { ...cell, panel: 'ask' } : cell);
    return body.map((band) => ({ ...band, columns: band.columns.map((cells) => cells.map(replace)) }));
  }
  const ask = single('ask', input.columns, ASK_HEIGHT, isNarrow ? 'rule' : 'box');
  return [...middle(input, height - ASK_HEIGHT, isNarrow), ask];
}

function middle(input: LayoutInput, height: number, isNarrow: boolean): Band[] {
  const { columns, rows, ui } = input;
  const border = isNarrow ? 'rule' : 'box';
  if (ui.isHelpOpen) return [single('help', columns, height, border)];
  if (ui.enlarged === 'workers') return enlargedWorkers(input, height, border);
  if (ui.enlarged !== null) return [single(ui.enlarged, columns, height, border)];
  if (isNarrow) return narrowBody(input, height);
  const isWide = columns >= THREE.columns && rows >= THREE.rows && input.hasSamples;
  return isWide ? threeColumns(input, height) : twoColumns(input, height);
}

function wideTop(columns: number): Band[] {
  return [single('header', columns, 1), single('progress', columns, 1)];
}

function narrowTop({ columns, rows }: LayoutInput): Band[] {
  return [single('status', columns, rows >= 14 ? 3 : 2)];
}

/** Loss beside workers and step time; below them the answers and what happened. */
function twoColumns(input: LayoutInput, height: number): Band[] {
  const { columns } = input;
  const right = clamp(Math.round(columns * 0.45), 34, 84);
  if (height < 14) return [loss(input, height - 1, right), single('events', columns, 1)];
  if (!input.hasSamples) {
    const events = height < 18 ? 1 : clamp(Math.round(height * 0.2), 4, 10);
    const last = single('events', columns, events, events > 1 ? 'box' : 'none');
    return [loss(input, height - events, right), last];
  }
  if (height < 26 || columns < 100) {
    const [samples, events] = height < 18 ? [5, 1] : height < 22 ? [6, 1] : [8, 3];
    return [
      loss(input, height - samples - events, right),
      single('samples', columns, samples, 'box'),
      single('events', columns, events),
    ];
  }
  const below = clamp(Math.round(height * 0.27), 8, 14);
  const band = { height: below, columns: [[box('samples', columns - right, below)], [box('events', right, below)]] };
  return [loss(input, height - below, right), band];
}

/** The loss at the left, what the workers do at the right. */
function loss(input: LayoutInput, height: number, right: number): Band {
  return {
    height,
    columns: [[box('loss', input.columns - right, height)], workersStack(input, right, height)],
  };
}

/** The loss at the left, the workers in the middle, the answers in full and what happened at the right. */
function threeColumns(input: LayoutInput, height: number): Band[] {
  const left = Math.round(input.columns * 0.42);
  const middleWidth = Math.round(input.columns * 0.29);
  const right = input.columns - left - middleWidth;
  const workers = Math.min(input.workers + 4, height - STEP_TIME_HEIGHT - 8);
  const throughput = height - workers - STEP_TIME_HEIGHT;
  const samples = clamp(Math.round(height * 0.6), 16, 30);
  return [
    {
      height,
      columns: [
        [box('loss', left, height)],
        [
          box('workers', middleWidth, workers),
          box('stepTime', middleWidth, STEP_TIME_HEIGHT),
          box('throughput', middleWidth, throughput),
        ],
        [box('samples', right, samples), box('events', right, height - samples)],
      ],
    },
  ];
}

/** Workers, then where their time goes, then the throughput, as far as the height goes. */
function workersStack({ workers }: LayoutInput, width: number, height: number): Cell[] {
  const wanted = workers + 4;
  if (height < wanted + 4) return [box('workers', width, height)];
  const rest = height - wanted;
  const stepTime = rest >= STEP_TIME_HEIGHT + 7 ? STEP_TIME_HEIGHT : rest;
  const cells = [box('workers', width, wanted), box('stepTime', width, stepTime)];
  return rest > stepTime ? [...cells, box('throughput', width, rest - stepTime)] : cells;
}

function enlargedWorkers(input: LayoutInput, height: number, border: Cell['border']): Band[] {
  const workers = Math.min(height, input.workers + 4);
  const rest = height - workers - STEP_TIME_HEIGHT;
  if (rest < 6) return [single('workers', input.columns, height, border)];
  return [
    single('workers', input.columns, workers, border),
    single('stepTime', input.columns, STEP_TIME_HEIGHT, border),
    single('throughput', input.columns, rest, border),
  ];
}

/** One below the other; the taller the terminal, the more of them. */
function narrowBody(input: LayoutInput, height: number): Band[] {
  const { columns, workers } = input;
  const border = height >= 14 ? 'rule' : 'none';
  const rule = border === 'rule' ? 1 : 0;
  const parts: [PanelName, number][] = [['workers', (height >= 18 ? Math.min(workers, 8) + 2 : 2) + rule]];
  if (height >= 22) parts.push(['stepTime', (height >= 36 ? 7 : 3) + rule]);
  if (height >= 28 && input.hasSamples) parts.push(['samples', (height >= 40 ? 9 : 6) + rule]);
  parts.push(['events', (height >= 18 ? 3 : 1) + rule]);
  const used = parts.reduce((sum, [, rows]) => sum + rows, 0);
  return [
    single('loss', columns, height - used, border),
    ...parts.map(([panel, rows]) => single(panel, columns, rows, border)),
  ];
}

function single(panel: PanelName, width: number, height: number, border: Cell['border'] = 'none'): Band {
  return { height, columns: [[{ panel, width, height, border }]] };
}

function box(panel: PanelName, width: number, height: number): Cell {
  return { panel, width, height, border: 'box' };
}

function heightOf(bands: readonly Band[]): number {
  return bands.reduce((sum, band) => sum + band.height, 0);
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
