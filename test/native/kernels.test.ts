// Every kernel against plain loops in double precision: compiles and runs kernels.c with the flags of the addon, for each
// instruction set that this processor runs, for the 16-wide code on narrower ones, and for NEON on an emulated processor.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { loadAddon } from '../../src/addon/addon.js';
import { repoRoot } from '../helpers/paths.js';

interface Variant {
  readonly isa: string;
  readonly flags: readonly string[];
}
interface Compiler {
  readonly command: readonly string[];
}
interface Outcome {
  readonly ok: boolean;
  readonly output: string;
}

const { FLAGS, KERNELS, VARIANTS, architectureFlags, findCompiler } = (await import(
  pathToFileURL(join(repoRoot, 'scripts/build-native.mjs')).href
)) as {
  FLAGS: readonly string[];
  KERNELS: readonly { readonly file: string; readonly flags: readonly string[] }[];
  VARIANTS: Readonly<Record<string, readonly Variant[]>>;
  architectureFlags(): string[];
  findCompiler(): Promise<Compiler | null>;
};
const { run } = (await import(pathToFileURL(join(repoRoot, 'scripts/setup/run.mjs')).href)) as {
  run(command: string, args: readonly string[], options?: { readonly env: NodeJS.ProcessEnv }): Promise<Outcome>;
};

/** Each source stands for a kernel file and is compiled with its flags. */
const SOURCES = [
  { source: 'kernels.c', kernels: 'kernels/all.c' },
  { source: 'exact.c', kernels: 'kernels/exact.c' },
];

const folder = mkdtempSync(join(tmpdir(), 'gpt-loom-kernels-'));
after(() => rmSync(folder, { recursive: true }));

async function build(compiler: readonly string[], { isa, flags }: Variant, linkFlags: readonly string[] = []) {
  const [command, ...own] = compiler;
  const objects = SOURCES.map(({ source }) => join(folder, `${isa}-${source}.o`));
  for (const [i, { source, kernels }] of SOURCES.entries()) {
    const { flags: kernelFlags } = KERNELS.find(({ file }) => file === kernels)!;
    const options = [...own, ...FLAGS, ...kernelFlags, ...flags, `-DISA=${isa}`];
    const compiled = await run(command, [...options, '-c', join(repoRoot, 'test/native', source), '-o', objects[i]]);
    assert.ok(compiled.ok, compiled.output);
  }
  const program = join(folder, isa);
  const linked = await run(command, [...own, ...linkFlags, ...objects, '-lm', '-o', program]);
  assert.ok(linked.ok, linked.output);
  return program;
}

/** Runs a compiled kernels.c and looks at its last line; shows the first of what failed. */
async function runChecks(isa: string, command: string, args: readonly string[] = [], env = process.env) {
  const { ok, output } = await run(command, args, { env });
  assert.ok(ok, output.split('\n').slice(0, 20).join('\n'));
  assert.match(output, new RegExp(`^kernels ${isa}: \\d{5} checks$`));
}

async function checkHere(t: TestContext, variant: Variant) {
  const compiler = await findCompiler();
  if (compiler === null) return t.skip('no C compiler');
  const program = await build([...compiler.command, ...architectureFlags()], variant);
  await runChecks(variant.isa, program);
}

const isHere = (program: string) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;

describe('kernels', { concurrency: availableParallelism() }, () => {
  const isas = loadAddon()?.isaVariants() ?? [];
  const known = VARIANTS[process.arch] ?? [];

  // First, since it takes longest: compiled for another processor, run by an emulator.
  if (process.arch !== 'arm64')
    test('kernels: with neon all agree with plain loops in double precision', async (t) => {
      const [compiler, emulator] = ['aarch64-linux-gnu-gcc', 'qemu-aarch64'];
      if (!isHere(compiler) || !isHere(emulator))
        return t.skip(`needs ${compiler} and ${emulator}: Debian packages gcc-aarch64-linux-gnu and qemu-user`);
      const neon = VARIANTS.arm64.find(({ isa }) => isa === 'neon')!;
      const program = await build([compiler], neon, ['-static']);
      // What is preloaded here, a sanitizer for instance, is for this processor.
      await runChecks('neon', emulator, [program], { ...process.env, LD_PRELOAD: '' });
    });

  for (const isa of isas)
    test(`kernels: with ${isa} all agree with plain loops in double precision`, (t) =>
      checkHere(t, { isa, flags: known.find((variant) => variant.isa === isa)?.flags ?? [] }));

  // The compiler splits its vectors in two; optimised, that would take half a minute.
  const avx2 = isas.includes('avx2') && known.find(({ isa }) => isa === 'avx2');
  if (avx2)
    test('kernels: 16 floats wide all agree with plain loops in double precision', (t) =>
      checkHere(t, { isa: 'wide', flags: [...avx2.flags, '-DVW=16', '-DNV=4', '-Og', '-Wno-psabi'] }));

  if (isas.length === 0) test('kernels: all agree with plain loops in double precision', { skip: 'no native addon' });
});
