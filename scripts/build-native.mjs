// Compiles native/ into one addon, .build/native/gpt_loom.node, with the C compiler of the machine: no node-gyp, no download.
// Every instruction set is compiled on its own; the addon picks the fastest that the processor has when it is loaded.
// As a program: `node scripts/build-native.mjs [--force]`, exit code 1 if it can't be built.

import { existsSync, mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fingerprint, listFiles, readJson, root, writeJson } from './setup/files.mjs';
import { run } from './setup/run.mjs';

/** For every source. */
export const FLAGS = [
  ...['-std=gnu11', '-O3', '-fPIC', '-fvisibility=hidden', '-Wall', '-Wextra'],
  ...['-fno-math-errno', '-fno-trapping-math'],
];

/** Sources that are compiled once per instruction set. Fused multiply-add changes bits, so exact.c goes without. */
export const KERNELS = [
  { file: 'kernels/all.c', flags: ['-ffp-contract=fast'] },
  { file: 'kernels/exact.c', flags: ['-ffp-contract=off'] },
];

const AVX512_FLAGS = ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma', '-mavx2', '-mf16c'];

/** Instruction sets by processor; `plain` is what the compiler makes without being told, and must always succeed. */
export const VARIANTS = {
  x64: [
    { isa: 'avx512bf16', flags: [...AVX512_FLAGS, '-mavx512bf16'] },
    { isa: 'avx512', flags: AVX512_FLAGS },
    { isa: 'avx2', flags: ['-mavx2', '-mfma'] },
    { isa: 'plain', flags: [] },
  ],
  arm64: [
    { isa: 'neon', flags: [] },
    { isa: 'plain', flags: [] },
  ],
};
const OTHER_PROCESSOR = [{ isa: 'plain', flags: [] }];

const LINK_FLAGS = {
  linux: ['-shared', '-lm', '-lpthread'],
  darwin: ['-bundle', '-undefined', 'dynamic_lookup'],
};

/** What a build leaves beside the addon, for the next build and for `gpt-loom doctor`. */
export const RECORD_NAME = 'build.json';

/**
 * Builds unless the record says that nothing changed.
 * Resolves to { built, record } or { problem }: a text of several lines that says what failed. `record` is
 * { sources, compiler, variants, left_out }, where `sources` is a fingerprint of everything but the compiler. On failure no
 * addon is left, since an old one may not fit the program any more.
 */
export async function buildNative({
  source = join(root, 'native'),
  target = join(root, '.build/native'),
  force = false,
  onStart = () => {},
} = {}) {
  const addon = join(target, 'gpt_loom.node');
  const recordPath = join(target, RECORD_NAME);
  const fail = (problem) => {
    rmSync(addon, { force: true });
    rmSync(recordPath, { force: true });
    return { problem };
  };
  if (!(process.platform in LINK_FLAGS))
    return fail(`The native engine is built on Linux and macOS, not on ${process.platform}.`);
  const files = [...listFiles(source, /\.[ch]$/), fileURLToPath(import.meta.url)];
  const sources = fingerprint(files, process.platform, process.arch);
  const record = readJson(recordPath);
  const isCurrent = !force && record?.sources === sources && existsSync(addon);

  const compiler = await findCompiler();
  // What was built stays good when the compiler is gone, and is built anew when there is another one.
  if (isCurrent && (compiler === null || compiler.version === record.compiler)) return { built: false, record };
  if (compiler === null) {
    const { CC } = process.env;
    return fail(`No C compiler was found (${CC ? `CC is "${CC}", which does not run` : 'neither cc, gcc nor clang'}).`);
  }
  const include = findHeaders();
  if (include === null) return fail('node_api.h was found neither beside node nor in node_modules/node-api-headers.');

  onStart();
  mkdirSync(target, { recursive: true });
  const work = mkdtempSync(join(target, 'build-'));
  try {
    const { problem, variants, leftOut } = await compileAndLink({ source, work, compiler: compiler.command, include });
    if (problem) return fail(problem);
    renameSync(join(work, 'gpt_loom.node'), addon);
    const newRecord = { sources, compiler: compiler.version, variants, left_out: leftOut };
    writeJson(recordPath, newRecord);
    return { built: true, record: newRecord };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Whether the addon can be built before any package is installed. */
export function hasHeadersBesideNode() {
  return existsSync(join(headersBesideNode(), 'node_api.h'));
}

/** What to do when `buildNative` failed: one paragraph. */
export function compilerAdvice() {
  const install =
    process.platform === 'darwin'
      ? 'xcode-select --install'
      : 'sudo apt install gcc libc6-dev make (Debian, Ubuntu), sudo dnf install gcc (Fedora), apk add gcc musl-dev (Alpine)';
  return (
    `To get a C compiler: ${install}; then run the command again.\n` +
    'Without it training needs the TensorFlow.js engine (engine: tfjs), which is many times slower.'
  );
}

async function compileAndLink({ source, work, compiler, include }) {
  const arch = architectureFlags();
  const { known, leftOut } = await knownVariants(compiler, arch, work);
  const isas = known.map(({ isa }) => isa);
  const objects = known.flatMap(({ isa, flags }) =>
    KERNELS.filter(({ file }) => existsSync(join(source, file))).map((kernel) => ({
      file: kernel.file,
      output: `${isa}-${kernel.file.replaceAll('/', '-')}.o`,
      flags: [...kernel.flags, ...flags, `-DISA=${isa}`],
    })),
  );
  objects.push({
    file: 'binding.c',
    output: 'binding.o',
    flags: ['-I', include, ...isas.map((isa) => `-DHAVE_${isa.toUpperCase()}`)],
  });

  const compile = ({ file, output, flags }) =>
    run(compiler[0], [
      ...compiler.slice(1),
      ...arch,
      ...FLAGS,
      ...flags,
      ...['-c', join(source, file), '-o', join(work, output)],
    ]);
  const results = await inParallel(objects, compile);
  const broken = results.findIndex((result) => !result.ok);
  if (broken >= 0) return { problem: `Compiling native/${objects[broken].file} failed:\n${results[broken].output}` };

  const addon = join(work, 'gpt_loom.node');
  const paths = objects.map(({ output }) => join(work, output));
  const [kind, ...libraries] = LINK_FLAGS[process.platform];
  const linked = await run(compiler[0], [...compiler.slice(1), ...arch, kind, ...paths, ...libraries, '-o', addon]);
  if (!linked.ok) return { problem: `Linking the addon failed:\n${linked.output}` };
  const loaded = await run(process.execPath, ['-e', `require(${JSON.stringify(addon)})`]);
  if (!loaded.ok) return { problem: `The addon was built, but node cannot load it:\n${loaded.output}` };
  return { variants: isas, leftOut };
}

/** The variants whose flags the compiler knows, and the names of the others. */
async function knownVariants(compiler, arch, work) {
  const variants = VARIANTS[process.arch] ?? OTHER_PROCESSOR;
  const results = await inParallel(variants, ({ isa, flags }) =>
    flags.length === 0
      ? { ok: true }
      : run(
          compiler[0],
          [...compiler.slice(1), ...arch, ...flags, '-x', 'c', '-c', '-', '-o', join(work, `probe-${isa}.o`)],
          { input: 'int loom_probe;\n' },
        ),
  );
  return {
    known: variants.filter((_, i) => results[i].ok),
    leftOut: variants.filter((_, i) => !results[i].ok).map(({ isa }) => isa),
  };
}

/** A Mac's compiler makes programs for both processors: for that of this node. */
export function architectureFlags() {
  return process.platform === 'darwin' ? ['-arch', process.arch === 'x64' ? 'x86_64' : process.arch] : [];
}

/** { command: [program, ...its arguments], version: first line of --version }, or null. */
export async function findCompiler() {
  const given = (process.env.CC ?? '').trim();
  const candidates = given === '' ? [['cc'], ['gcc'], ['clang']] : [given.split(/\s+/)];
  for (const command of candidates) {
    const { ok, output } = await run(command[0], [...command.slice(1), '--version']);
    if (ok) return { command, version: output.split('\n')[0] };
  }
  return null;
}

/** Folder of node_api.h: the running node's own, else npm's node-api-headers. */
function findHeaders() {
  const candidates = [headersBesideNode(), join(root, 'node_modules/node-api-headers/include')];
  return candidates.find((folder) => existsSync(join(folder, 'node_api.h'))) ?? null;
}

function headersBesideNode() {
  return join(dirname(dirname(realpathSync(process.execPath))), 'include/node');
}

/** Like Promise.all over `work(item)`, with as many at a time as there are processors. */
async function inParallel(items, work) {
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i]);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return results;
}

async function main() {
  const { built, record, problem } = await buildNative({ force: process.argv.includes('--force') });
  if (problem) {
    process.stderr.write(`${problem}\n${compilerAdvice()}\n`);
    process.exitCode = 1;
    return;
  }
  const skipped = record.left_out.length > 0 ? `; ${record.compiler} doesn't know ${record.left_out.join(', ')}` : '';
  process.stderr.write(`${built ? 'Built' : 'Up to date'}: ${record.variants.join(', ')}${skipped}\n`);
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await main();
