// README.md promises only what is there: keys and defaults, commands, paths.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildProgram } from '../src/cli.js';
import { LEAVES } from '../src/config/keys.js';
import { repoRoot } from './helpers/paths.js';

const readme = readFileSync(join(repoRoot, 'README.md'), 'utf8');

/** First cells of the table rows below a heading: what stands in backticks. */
function tableNames(headerCells: string): string[][] {
  const lines = readme.split(`${headerCells}\n`)[1].split('\n').slice(1);
  const rows = lines.slice(
    0,
    lines.findIndex((line) => !line.startsWith('|')),
  );
  return rows.map((line) => [...line.matchAll(/`([^`]+)`/g)].map(([, name]) => name));
}

test('readme: the settings are all keys of the configuration, with their defaults', () => {
  const listed = new Map(tableNames('| key | default | meaning |').map(([key, value]) => [key, value]));
  assert.deepEqual([...listed.keys()], [...LEAVES.keys()]);
  for (const [key, { fallback: expected }] of LEAVES) {
    const shown = listed.get(key)!;
    const value = typeof expected === 'number' ? Number(shown) : shown;
    assert.equal(value, typeof expected === 'number' ? expected : String(expected), key);
  }
});

test('readme: the commands are those of the program', () => {
  const listed = tableNames('| command | what it does |').map((names) => names[0].split(' ')[0]);
  const commands = buildProgram().commands.map((command) => command.name());
  assert.deepEqual([...new Set(listed)].sort(), commands.sort());
});

test('readme: the paths of the file map are there', () => {
  for (const name of tableNames('| path | what lies there |').flat()) {
    if (!/[/.]/.test(name)) continue;
    // checkpoints/ comes with the first run, the rest with the clone.
    if (name !== 'checkpoints/') assert.ok(existsSync(join(repoRoot, name)), name);
  }
});

test('readme: under 250 lines', () => {
  assert.ok(readme.split('\n').length < 250);
});
