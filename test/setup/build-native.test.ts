// The build of the native addon on a tiny source of its own: what is rebuilt when, and what a failure leaves and says.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { repoRoot } from '../helpers/paths.js';

interface BuildResult {
  readonly built?: boolean;
  readonly record?: { readonly variants: string[]; readonly left_out: string[]; readonly compiler: string };
  readonly problem?: string;
}

const { buildNative } = (await import(pathToFileURL(join(repoRoot, 'scripts/build-native.mjs')).href)) as {
  buildNative(options: { source: string; target: string; force?: boolean }): Promise<BuildResult>;
};

const folder = mkdtempSync(join(tmpdir(), 'gpt-loom-native-'));
const source = join(folder, 'native');
const target = join(folder, 'build');
const addon = join(target, 'gpt_loom.node');
after(() => rmSync(folder, { recursive: true }));

/** Tells which variants it was built with, as the real one does. */
const BINDING = `#include <node_api.h>
extern const char *const name_plain;
#if defined(HAVE_AVX2)
extern const char *const name_avx2;
#endif
NAPI_MODULE_INIT() {
  napi_value value;
#if defined(HAVE_AVX2)
  napi_create_string_utf8(env, name_avx2, NAPI_AUTO_LENGTH, &value);
#else
  napi_create_string_utf8(env, name_plain, NAPI_AUTO_LENGTH, &value);
#endif
  return value;
}
`;
const KERNELS = `#define NAME_OF(isa) #isa
#define NAME(isa) NAME_OF(isa)
#define VARIABLE_OF(isa) name_##isa
#define VARIABLE(isa) VARIABLE_OF(isa)
const char *const VARIABLE(ISA) = NAME(ISA);
`;

beforeEach(() => {
  mkdirSync(join(source, 'kernels'), { recursive: true });
  writeFileSync(join(source, 'binding.c'), BINDING);
  writeFileSync(join(source, 'kernels/all.c'), KERNELS);
});

/** The native engine is optional: without a compiler there is nothing to test here, and the output says so. */
function needsCompiler(t: TestContext): boolean {
  const hasCompiler = spawnSync(process.env.CC ?? 'cc', ['--version']).status === 0;
  if (!hasCompiler) t.skip('no C compiler');
  return hasCompiler;
}

test('build-native: builds once, again only when a source changed, and what it builds can be loaded', async (t) => {
  if (!needsCompiler(t)) return;
  const first = await buildNative({ source, target });
  assert.equal(first.problem, undefined);
  assert.equal(first.built, true);
  assert.ok(first.record?.variants.includes('plain'));
  assert.ok(first.record?.variants.includes(createRequire(import.meta.url)(addon)));
  assert.deepEqual(readdirSync(target).sort(), ['build.json', 'gpt_loom.node']);

  assert.equal((await buildNative({ source, target })).built, false);
  writeFileSync(join(source, 'kernels/new.h'), '');
  assert.equal((await buildNative({ source, target })).built, true);
});

test('build-native: a compile error is shown, and no old addon is left to be run with new code', async (t) => {
  if (!needsCompiler(t)) return;
  await buildNative({ source, target });
  assert.ok(existsSync(addon));
  writeFileSync(join(source, 'kernels/all.c'), 'int broken(void) { return nothing_there; }\n');
  const { problem } = await buildNative({ source, target });
  assert.match(problem ?? '', /^Compiling native\/kernels\/all\.c failed:\n[\s\S]*nothing_there/);
  assert.deepEqual(readdirSync(target), []);
});

test('build-native: an addon that node cannot load is a failure', async (t) => {
  if (!needsCompiler(t)) return;
  writeFileSync(
    join(source, 'binding.c'),
    `void loom_missing(void);\n${BINDING.replace('return', 'loom_missing(); return')}`,
  );
  const { problem } = await buildNative({ source, target });
  assert.match(problem ?? '', /loom_missing/);
  assert.equal(existsSync(addon), false);
});

test('build-native: does without the instruction sets that the compiler does not know', async (t) => {
  if (!needsCompiler(t)) return;
  const compiler = join(folder, 'old-cc');
  writeFileSync(
    compiler,
    '#!/bin/sh\nfor arg; do case "$arg" in -mavx*) echo "unknown $arg" >&2; exit 1;; esac; done\nexec cc "$@"\n',
  );
  chmodSync(compiler, 0o755);
  const before = process.env.CC;
  process.env.CC = compiler;
  try {
    const { record, problem } = await buildNative({ source, target });
    assert.equal(problem, undefined);
    assert.equal(record?.variants.at(-1), 'plain');
    assert.deepEqual(record?.left_out, process.arch === 'x64' ? ['avx512bf16', 'avx512', 'avx2'] : []);
    assert.equal(createRequire(import.meta.url)(copyOfAddon()), record?.variants[0]);
  } finally {
    if (before === undefined) delete process.env.CC;
    else process.env.CC = before;
  }
});

test('build-native: without a compiler keeps what is current, and says so when nothing is', async (t) => {
  if (!needsCompiler(t)) return;
  await buildNative({ source, target });
  const before = process.env.CC;
  process.env.CC = 'no-such-compiler';
  try {
    assert.equal((await buildNative({ source, target })).built, false);
    writeFileSync(join(source, 'kernels/all.c'), `${KERNELS}\n`);
    const { problem } = await buildNative({ source, target });
    assert.equal(problem, 'No C compiler was found (CC is "no-such-compiler", which does not run).');
    assert.equal(existsSync(addon), false);
  } finally {
    if (before === undefined) delete process.env.CC;
    else process.env.CC = before;
  }
});

/** Under another name: a process loads each path once. */
function copyOfAddon(): string {
  const copy = join(folder, `copy-${process.hrtime.bigint()}.node`);
  cpSync(addon, copy);
  return copy;
}
