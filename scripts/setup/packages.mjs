// node_modules as package-lock.json wants it: compares versions, runs npm only when they differ.

import { basename, join } from 'node:path';
import { SetupError } from './error.mjs';
import { readJson, root } from './files.mjs';
import { run } from './run.mjs';

/** Installs with `npm ci` unless node_modules already holds what the lock file lists. Optional packages may be missing. */
export async function installPackages(onStart) {
  if (isInstalled()) return;
  onStart('installing packages');
  const [command, ...args] = npmCommand();
  const flags = ['--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const { ok, output, missing } = await run(command, [...args, 'ci', ...flags], { cwd: root });
  if (ok) return;
  throw new SetupError(missing ? `${command} was not found. ${GET_NODE}` : installationProblem(output));
}

const GET_NODE = 'It comes with Node.js: install Node.js from https://nodejs.org.';
/** npm prints all of its options after some errors. */
const SHOWN_LINES = 20;

function installationProblem(output) {
  const shown = output.split('\n').slice(0, SHOWN_LINES).join('\n');
  const advice = output.includes('EUSAGE')
    ? 'package.json and package-lock.json disagree: run npm install, which mends the lock file.'
    : 'Check the network connection (and the proxy and registry that npm is set to use), then run the command again.';
  return `npm could not install the packages:\n${shown}\n\n${advice}`;
}

/** npm keeps its own list of what it installed; it writes it last, so a broken-off installation has none. */
function isInstalled() {
  const wanted = readJson(join(root, 'package-lock.json'))?.packages;
  const present = readJson(join(root, 'node_modules/.package-lock.json'))?.packages;
  if (!wanted || !present) return false;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '') return true;
    return Object.hasOwn(present, path) ? present[path].version === version : optional === true;
  });
}

/** The npm that runs us, if it is npm, else the one in the PATH. */
function npmCommand() {
  const running = process.env.npm_execpath ?? '';
  return basename(running) === 'npm-cli.js' ? [process.execPath, running] : ['npm'];
}
