import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OutputFlags, shouldUseDashboard, wantsColour } from '../../src/ui/open.js';

const TTY = { isTTY: true };
const cases: [
  name: string,
  expected: boolean,
  env: NodeJS.ProcessEnv,
  flags?: OutputFlags,
  stdin?: object,
  stdout?: object,
][] = [
  ['on a terminal', true, { TERM: 'xterm-256color' }],
  ['on a terminal that says it is not CI', true, { CI: 'false' }],
  ['in CI', false, { CI: 'true' }],
  ['on a dumb terminal', false, { TERM: 'dumb' }],
  ['for a screen reader', false, { INK_SCREEN_READER: 'true' }],
  ['with --plain', false, {}, { plain: true }],
  ['with --json', false, {}, { json: true }],
  ['with --quiet', false, {}, { quiet: true }],
  ['with stdout in a file', false, {}, {}, TTY, {}],
  ['with stdin from a file', false, {}, {}, { isTTY: false }, TTY],
];

for (const [name, expected, env, flags = {}, stdin = TTY, stdout = TTY] of cases) {
  test(`dashboard: is ${expected ? '' : 'not '}used ${name}`, () => {
    assert.equal(shouldUseDashboard({ stdin, stdout, env, flags }), expected);
  });
}

test('colours: NO_COLOR and FORCE_COLOR=0 switch them off, else the terminal decides', () => {
  const able = { hasColors: () => true };
  const unable = { hasColors: () => false };
  assert.equal(wantsColour(able, {}), true);
  assert.equal(wantsColour(unable, {}), false);
  assert.equal(wantsColour(able, { NO_COLOR: '1', FORCE_COLOR: '1' }), false);
  assert.equal(wantsColour(able, { NO_COLOR: '' }), true);
  assert.equal(wantsColour(able, { FORCE_COLOR: '0' }), false);
});
