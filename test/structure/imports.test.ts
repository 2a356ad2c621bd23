// Reads the import lines of src/ and workers/ and fails on one that goes backwards.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repoRoot } from '../helpers/paths.js';
import { findImports, findViolations, LEVELS, type SourceFile } from './rules.js';

function sourcesBelow(folder: string): SourceFile[] {
  return readdirSync(join(repoRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .map((path) => ({ path, text: readFileSync(join(repoRoot, path), 'utf8') }));
}

test('imports: every import in src/ and workers/ goes from left to right', () => {
  const files = [...sourcesBelow('src'), ...sourcesBelow('workers')];
  assert.deepEqual(findViolations(files), []);
});

test('imports: every folder of src/ has its place in the order', () => {
  const places = LEVELS.flat();
  const modules = readdirSync(join(repoRoot, 'src')).map((name) => name.replace(/\.ts$/, ''));
  assert.deepEqual(
    modules.filter((name) => !places.includes(name)),
    [],
  );
});

test('imports: all forms of import are seen, and whether they are types alone', () => {
  const text = [
    "import { a } from './a.js';",
    "import type { B } from '../b.js';",
    'import {',
    '  c,',
    '  type D,',
    "} from 'c';",
    "import './side-effect.js';",
    "export { e } from './e.js';",
    "export type { F } from './f.js';",
    "  const { g } = await import('./g.js');",
    "const notAnImport = 'import x from nowhere';",
  ].join('\n');
  const found = findImports(text).map(({ specifier, isTypeOnly }) => `${specifier}${isTypeOnly ? ' type' : ''}`);
  assert.deepEqual(found, ['./a.js', '../b.js type', 'c', './side-effect.js', './e.js', './f.js type', './g.js']);
});

const forbidden: [path: string, text: string, reason: string][] = [
  ['src/config/x.ts', "import { a } from '../data/jsonl.js';", 'config stands left of data'],
  ['src/errors.ts', "import { a } from './config/config.js';", 'errors stands left of config'],
  ['src/optim/x.ts', "import type { A } from '../engine/engine.js';", 'optim and engine stand side by side'],
  ['src/trainer/x.ts', "await import('../ui/open.js');", 'trainer stands left of ui'],
  ['src/commands/x.ts', "import { a } from '../cli.js';", 'commands stands left of cli'],
  [
    'src/ui/x.tsx',
    "import { a } from '../trainer/events.js';",
    'ui imports nothing of ours but trainer/events.js, with import type',
  ],
  [
    'src/ui/panels/x.tsx',
    "import type { A } from '../../errors.js';",
    'ui imports nothing of ours but trainer/events.js, with import type',
  ],
  [
    'workers/x.ts',
    "import { a } from '../src/trainer/trainer.js';",
    'workers may import engine, parallel, optim, addon, model, data, errors, bench',
  ],
  ['src/new/x.ts', "import { a } from '../errors.js';", 'new is in no level of test/structure/rules.ts'],
  ['src/trainer/x.ts', "import { Piscina } from 'piscina';", 'only src/parallel/pool.ts and workers/ may import it'],
  ['src/engine/native.ts', "import * as tf from '@tensorflow/tfjs';", 'only src/engine/tfjs*.ts may import it'],
  ['src/commands/x.ts', "import { render } from 'ink';", 'only src/ui/ may import it'],
  ['src/trainer/x.ts', "import { jsx } from 'react/jsx-runtime';", 'only src/ui/ may import it'],
];

for (const [path, text, reason] of forbidden) {
  test(`imports: ${path} may not say: ${text}`, () => {
    const [violation, ...others] = findViolations([{ path, text }]);
    assert.ok(violation?.endsWith(`: ${reason}`), violation);
    assert.deepEqual(others, []);
  });
}

test('imports: what the order allows passes', () => {
  const allowed: SourceFile[] = [
    {
      path: 'src/ui/x.tsx',
      text: "import type { TrainEvent } from '../trainer/events.js';\nimport { Box } from 'ink';",
    },
    { path: 'src/commands/train/x.ts', text: "await import('../../ui/open.js');\nimport '../../config/load.js';" },
    { path: 'workers/x.ts', text: "import { a } from '../src/parallel/worker.js';" },
    { path: 'src/parallel/pool.ts', text: "import { Piscina } from 'piscina';" },
    { path: 'src/engine/tfjs-model.ts', text: "import * as tf from '@tensorflow/tfjs';" },
    { path: 'src/config/load.ts', text: "import * as v from 'valibot';\nimport './keys.js';\nimport '../errors.js';" },
  ];
  assert.deepEqual(findViolations(allowed), []);
});
