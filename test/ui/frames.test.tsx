// Whole frames as Ink shows them, against stored ones. UPDATE_FRAMES=1 writes them anew; look at them before you commit.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { cleanup, render } from 'ink-testing-library';
import { buildFrame } from '../../src/ui/frame.js';
import type { PanelContext } from '../../src/ui/panels/panel.js';
import { Rows } from '../../src/ui/screen.js';
import { fixture } from '../helpers/paths.js';
import { record } from './recording.js';
import { type ContextOptions, contextAfter } from './view.js';

afterEach(cleanup);

const recording = record({ steps: 1024 });
const early = record({ steps: 230 });

/** The frame as it leaves Ink, free columns at the right cut off. */
function inkFrame(context: PanelContext, columns: number, rows: number): string {
  const { lastFrame } = render(<Rows rows={buildFrame(context, { columns, rows })} onKey={noKey} onUnmount={noKey} />);
  return (lastFrame() ?? '').replace(/ +$/gm, '');
}

function noKey(): void {}

function matchesStored(name: string, frame: string): void {
  const path = fixture(`ui/${name}.txt`);
  if (process.env.UPDATE_FRAMES === '1') writeFileSync(path, `${frame}\n`);
  assert.equal(`${frame}\n`, readFileSync(path, 'utf8'));
}

const cases: [name: string, columns: number, rows: number, options?: ContextOptions][] = [
  ['running-40x12', 40, 12],
  ['running-80x24', 80, 24],
  ['running-120x40', 120, 40],
  ['running-200x50', 200, 50],
  ['running-60x50', 60, 50],
  ['loss-enlarged-80x24', 80, 24, { ui: { enlarged: 'loss', scale: 'linear' } }],
  ['workers-enlarged-100x40', 100, 40, { ui: { enlarged: 'workers' } }],
  ['help-80x24', 80, 24, { ui: { isHelpOpen: true }, canAsk: true }],
  ['stopping-frozen-80x24', 80, 24, { ui: { quit: 'stopping', isFrozen: true } }],
  ['asking-80x24', 80, 24, { canAsk: true, ui: { ask: { phase: 'typing', prompt: '什么是RoPE', answer: '' } } }],
  [
    'asked-80x24',
    80,
    24,
    { canAsk: true, ui: { ask: { phase: 'answered', prompt: '什么是RoPE？', answer: '不知道。' } } },
  ],
  ['too-small-30x8', 30, 8],
];

for (const [name, columns, rows, options] of cases) {
  test(`dashboard: shows the stored frame ${name}`, () => {
    matchesStored(name, inkFrame(contextAfter(recording, options), columns, rows));
  });
}

test('dashboard: shows wrong answers with what was expected', () => {
  matchesStored('samples-enlarged-80x24', inkFrame(contextAfter(early, { ui: { enlarged: 'samples' } }), 80, 24));
});

test('dashboard: shows the frame before the first event', () => {
  matchesStored('preparing-80x24', inkFrame(contextAfter([]), 80, 24));
});

test('dashboard: shows the frame before the first step', () => {
  matchesStored('started-80x24', inkFrame(contextAfter(recording.slice(0, 1)), 80, 24));
});

test('dashboard: shows a run of another process, which asks nothing', () => {
  const events = early.flatMap(({ at, event }) => {
    if (event.type === 'samples') return [];
    return [{ at, event: event.type === 'start' ? { ...event, samplePrompts: 0 } : event }];
  });
  matchesStored('watched-80x24', inkFrame(contextAfter(events, { isWatching: true, live: [] }), 80, 24));
});

test('dashboard: shows a loss that is not a number', () => {
  const events = recording.slice(0, 320).map(({ at, event }) => {
    if (event.type !== 'step' || event.step < 300) return { at, event };
    return { at, event: { ...event, loss: Number.NaN, gradNorm: Number.POSITIVE_INFINITY } };
  });
  matchesStored('diverging-80x24', inkFrame(contextAfter(events), 80, 24));
});

test('dashboard: leaves nothing of a frame to the layout of Ink', () => {
  const { frames } = render(<Rows rows={['a', 'b']} onKey={noKey} onUnmount={noKey} />);
  assert.deepEqual(frames, ['', 'a\nb']);
});

test('dashboard: shows the frame after the end', () => {
  matchesStored('done-80x24', inkFrame(contextAfter(record({ hasEnd: true })), 80, 24));
});

test('dashboard: colours change nothing but colour', () => {
  const codes = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g');
  for (const [columns, rows] of [
    [40, 12],
    [80, 24],
    [120, 40],
    [200, 50],
  ]) {
    const plain = buildFrame(contextAfter(recording), { columns, rows });
    const coloured = buildFrame(contextAfter(recording, { hasColour: true }), { columns, rows });
    assert.match(coloured.join('\n'), codes);
    assert.deepEqual(
      coloured.map((row) => row.replace(codes, '')),
      plain,
    );
  }
});

test('dashboard: without colour a frame contains no escape sequence', () => {
  const frame = inkFrame(contextAfter(recording, { ui: { quit: 'stopping' } }), 120, 40);
  assert.ok(!frame.includes(String.fromCharCode(27)));
});
