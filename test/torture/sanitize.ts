// The tests of the native engine and of its kernels once more, compiled with the address and undefined-behaviour sanitizers.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../helpers/paths.js';

/** They come last, so that -O2 wins: -O3 takes minutes more to compile, and what is looked for is the same. */
const FLAGS = '-g -O2 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined';

const TESTS = [
  ...['engine/contract-native', 'engine/native', 'engine/native-inference', 'engine/guards', 'engine/pairs'],
  ...['engine/update', 'engine/bf16', 'native/kernels'],
];

/** Works in a copy of the compiled project, so that nobody meets the slow addon. */
export function sanitize(folder: string): string {
  const runtime = spawnSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout?.trim() ?? '';
  if (!runtime.startsWith('/')) return 'skipped: needs gcc with libasan';
  const copy = join(folder, 'sanitized');
  mkdirSync(join(copy, 'test'), { recursive: true });
  for (const name of ['.build/js', 'native', 'scripts', 'package.json', 'test/fixtures', 'test/native']) {
    cpSync(join(repoRoot, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(repoRoot, 'node_modules'), join(copy, 'node_modules'));
  // The runtime must come first in a process that loads the addon, and the build tries to load what it made.
  // Node frees little at its end: leaks are its own.
  const env = { ...process.env, LD_PRELOAD: runtime, ASAN_OPTIONS: 'detect_leaks=0' };
  const compiler = join(copy, 'cc.sh');
  writeFileSync(compiler, `#!/bin/sh\nexec gcc "$@" ${FLAGS}\n`, { mode: 0o755 });
  const build = spawnSync(process.execPath, ['scripts/build-native.mjs', '--force'], {
    cwd: copy,
    env: { ...env, CC: compiler },
    encoding: 'utf8',
  });
  if (build.status !== 0) throw new Error(`the sanitized addon can't be built: ${build.stdout}${build.stderr}`);
  const tests = spawnSync(
    process.execPath,
    ['--test', '--test-reporter=tap', ...TESTS.map((name) => join(copy, `.build/js/test/${name}.test.js`))],
    {
      cwd: copy,
      env: { ...env, CC: compiler },
      encoding: 'utf8',
    },
  );
  const output = `${tests.stdout}${tests.stderr}`;
  const passed = Number(/^# pass (\d+)/m.exec(output)?.[1] ?? 0);
  if (tests.status !== 0 || passed === 0 || /runtime error|AddressSanitizer/.test(output))
    throw new Error(
      output.slice(Math.max(0, output.search(/==ERROR: AddressSanitizer|runtime error|^not ok/m))).slice(0, 4000),
    );
  return `${passed} tests of the native engine and its kernels passed under AddressSanitizer and UBSan`;
}
