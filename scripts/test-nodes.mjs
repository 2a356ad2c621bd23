// `npm run test:nodes`: the whole suite on other versions of Node, whose binaries come from npm's `node` packages.
// `npm run test:nodes -- 24 test/parallel` runs a part of it, on one version: numbers are versions, other words parts of paths.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { root } from './setup/files.mjs';

const VERSIONS = ['22', '24'];

const words = process.argv.slice(2);
const asked = words.filter((word) => /^\d+$/.test(word));
const parts = words.filter((word) => !/^\d+$/.test(word));
const outcomes = (asked.length > 0 ? asked : VERSIONS).map(testOn);
process.stdout.write(`${outcomes.map(({ text }) => text).join('\n')}\n`);
if (!outcomes.every(({ passed }) => passed)) process.exitCode = 1;

function testOn(version) {
  const started = performance.now();
  const node = install(version);
  if (node === null) return { passed: false, text: `Node ${version}: could not be installed from npm` };
  // Programs that tests start by name must be of this version, too.
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` };
  const passed = run(node, ['scripts/setup.mjs'], env) && run(node, ['scripts/test.mjs', ...parts], env);
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  const seconds = Math.round((performance.now() - started) / 1000);
  return { passed, text: `Node ${stdout.trim()}: ${passed ? 'passed' : 'FAILED'} in ${seconds} s` };
}

/** Path of the binary, or null. */
function install(version) {
  const folder = join(root, '.build/nodes', version);
  const node = join(folder, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (existsSync(node)) return node;
  mkdirSync(folder, { recursive: true });
  // Its installation script puts the binary for this machine in its place.
  const args = ['install', '--no-audit', '--no-fund', '--foreground-scripts', '--prefix', folder, `node@${version}`];
  return run('npm', args, process.env) && existsSync(node) ? node : null;
}

function run(command, args, env) {
  return (
    spawnSync(command, args, { cwd: root, env, stdio: 'inherit', shell: process.platform === 'win32' }).status === 0
  );
}
