// Every size of terminal: no row wider than the columns, no frame taller than one row less than the terminal has.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';
import { buildFrame } from '../../src/ui/frame.js';
import { chooseLayout } from '../../src/ui/layout.js';
import { helpPanel } from '../../src/ui/panels/footer.js';
import type { PanelContext } from '../../src/ui/panels/panel.js';
import { stepTimePanel } from '../../src/ui/panels/step-time.js';
import { workersPanel } from '../../src/ui/panels/workers.js';
import { record, START } from './recording.js';
import { contextAfter } from './view.js';

const recording = record({ steps: 700 });
const longTexts = record({ steps: 120, workers: 24 }).map(({ at, event }) => {
  const long = '很长的文字 mixed with words '.repeat(20);
  if (event.type === 'start') {
    return { at, event: { ...event, saveDir: long, engine: { ...event.engine, detail: long }, maxSteps: 98_765_432 } };
  }
  if (event.type === 'samples') {
    return {
      at,
      event: { ...event, items: [{ prompt: long, answer: `${long}\u001b[31m\n\u0007`, expected: long, step: 100 }] },
    };
  }
  if (event.type === 'checkpoint') return { at, event: { ...event, path: long } };
  return { at, event };
});

test('dashboard: where the help has little room, it still has every key', () => {
  const text = helpPanel.body(contextAfter(recording, { canAsk: true }), 38, 7).join('\n');
  for (const key of ['q', 'p', 's', 'e', 'a', '\\+/-', 'f', '1-3', 'l', '\\?', 'Ctrl-C', 'Ctrl-Z', 'Ctrl-L', 'Esc']) {
    assert.match(text, new RegExp(`(^| )${key} \\S`, 'm'));
  }
});

test('dashboard: the one bar of a step explains every shade in it', () => {
  for (const width of [34, 38, 60]) {
    const [bar, ...legend] = stepTimePanel.body(contextAfter(recording), width, 4);
    const shades = new Set([...bar.trimEnd()]);
    assert.ok(shades.size >= 5, bar);
    for (const shade of shades) assert.ok(legend.join(' ').includes(`${shade} `), `${shade} in ${legend.join('|')}`);
  }
});

test('dashboard: a single worker has its row under titles', () => {
  const one = contextAfter(record({ steps: 20, workers: 1 }));
  const lines = workersPanel.body(one, 34, 3);
  assert.match(lines[0], /now +tok\/s +busy +wait/);
  assert.match(lines[1], /^0 /);
});

const contexts: [name: string, context: PanelContext][] = [
  ['in the middle of a run', contextAfter(recording)],
  ['before the first event', contextAfter([])],
  ['after the start', contextAfter([{ at: 0, event: START }])],
  ['with 24 workers and endless texts', contextAfter(longTexts)],
  ['without answers', contextAfter([{ at: 0, event: { ...START, samplePrompts: 0 } }, ...recording.slice(1, 50)])],
  ['with help', contextAfter(recording, { ui: { isHelpOpen: true }, canAsk: true })],
  [
    'with a question',
    contextAfter(recording, { ui: { ask: { phase: 'typing', prompt: '问'.repeat(300), answer: '' } } }),
  ],
  [
    'with an answer',
    contextAfter(longTexts, { ui: { ask: { phase: 'answered', prompt: '问'.repeat(99), answer: '答'.repeat(300) } } }),
  ],
  ['with the loss enlarged', contextAfter(recording, { ui: { enlarged: 'loss', scale: 'linear' } })],
  [
    'with the workers enlarged',
    contextAfter(longTexts, { ui: { enlarged: 'workers', quit: 'stopping' }, isPaused: true }),
  ],
  ['with the answers enlarged', contextAfter(longTexts, { ui: { enlarged: 'samples' }, hasColour: true })],
];

/** 40 to 220 columns, 12 to 60 rows, with the edges where layouts change. */
const COLUMNS = [40, 55, 71, 72, 80, 99, 100, 159, 160, 220];
const ROWS = [12, 13, 14, 18, 21, 24, 30, 33, 34, 60];
/** Known to take one column each (see text.test.ts); only the rest needs the slow measurement. */
const ONE_COLUMN = /[ -~·…─-▟✓✗●⠀-⣿]/g;

for (const [name, context] of contexts) {
  test(`dashboard: fills every size from 40x12 to 220x60 exactly, ${name}`, () => {
    for (const columns of COLUMNS) {
      for (const rows of ROWS) {
        const frame = buildFrame(context, { columns, rows });
        assert.equal(frame.length, rows - 1, `${columns}x${rows}`);
        for (const row of frame) assert.equal(columnsOf(row), columns, `${columns}x${rows}: ${row}`);
      }
    }
  });
}

function columnsOf(row: string): number {
  const plain = row.includes('\u001b') ? stripVTControlCharacters(row) : row;
  const rest = plain.replace(ONE_COLUMN, '');
  return plain.length - rest.length + stringWidth(rest);
}

test('dashboard: is one line of text on a terminal smaller than 40x12', () => {
  for (const [columns, rows] of [
    [39, 40],
    [200, 11],
    [12, 3],
    [1, 1],
  ]) {
    const frame = buildFrame(contextAfter(recording), { columns, rows });
    assert.equal(frame.length, 1);
    assert.equal(stringWidth(frame[0]), columns);
  }
});

test('layout: every panel has at least one row of text at every size', () => {
  const ui = { enlarged: null, isHelpOpen: false, ask: null };
  const inputs = [1, 2, 8, 64].flatMap((workers) => [true, false].map((hasSamples) => ({ workers, hasSamples, ui })));
  for (let columns = 40; columns <= 220; columns++) {
    for (let rows = 12; rows <= 60; rows++) {
      for (const input of inputs) {
        const bands = chooseLayout({ columns, rows, ...input }) ?? [];
        assert.equal(
          bands.reduce((sum, band) => sum + band.height, 0),
          rows - 1,
        );
        for (const band of bands) {
          for (const cells of band.columns) {
            assert.equal(
              cells.reduce((sum, cell) => sum + cell.height, 0),
              band.height,
            );
            for (const { panel, height, border } of cells) {
              const least = border === 'box' ? 3 : border === 'rule' ? 2 : 1;
              assert.ok(height >= least, `${panel} at ${columns}x${rows} with ${input.workers} workers`);
            }
          }
          assert.equal(
            band.columns.reduce((sum, [cell]) => sum + cell.width, 0),
            columns,
          );
        }
      }
    }
  }
});
