// The keys that who only watches a run is told of, at 80 and 40 columns.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { footer, helpPanel } from '../../../src/ui/panels/footer.js';
import { record } from '../../ui/recording.js';
import { contextAfter } from '../../ui/view.js';

const context = contextAfter(record({ steps: 20 }), { isWatching: true });
const trimmed = (lines: string[]) => lines.map((line) => line.trimEnd());

test('watch: the footer shows how to leave and how to look, no key that acts on the run', () => {
  assert.deepEqual(trimmed(footer.body(context, 80, 1)), ['q leave  f freeze  1-3 enlarge  l linear  ? help']);
  assert.deepEqual(trimmed(footer.body(context, 40, 1)), ['q leave  f freeze  1-3 enlarge  ? help']);
});

test('watch: so does the help', () => {
  assert.deepEqual(trimmed(helpPanel.body(context, 60, 20)).slice(0, 6), [
    'q    leave; the run goes on',
    'f    freeze the view, not the run',
    '1-3  enlarge loss, workers or answers',
    'l    log or linear scale',
    '?    this help',
    '',
  ]);
});
