// A copy of the built program in a folder of its own: without the native addon, and with other packages than the repository's.

import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { repoRoot } from '../helpers/paths.js';
import { temporaryFolder } from '../helpers/run.js';

export interface Installation {
  readonly folder: string;
  /** Absolute path of a compiled file, e.g. `src/cli.js`. */
  path(file: string): string;
}

export interface InstallationOptions {
  /** Source of a CommonJS module that stands for @tensorflow/tfjs-node. */
  readonly tfjsNode?: string;
  /** Packages of @tensorflow that are left out. */
  readonly without?: readonly string[];
}

export function createInstallation({ tfjsNode, without = [] }: InstallationOptions = {}): Installation {
  const folder = temporaryFolder();
  for (const part of ['src', 'workers']) {
    cpSync(join(repoRoot, '.build/js', part), join(folder, '.build/js', part), { recursive: true });
  }
  cpSync(join(repoRoot, 'package.json'), join(folder, 'package.json'));
  const others = readdirSync(join(repoRoot, 'node_modules')).filter((name) => name !== '@tensorflow');
  for (const name of others) link(folder, name);
  const parts = readdirSync(join(repoRoot, 'node_modules/@tensorflow'));
  for (const part of parts) {
    if (part !== 'tfjs-node' && !without.includes(part)) link(folder, `@tensorflow/${part}`);
  }
  if (tfjsNode !== undefined) {
    const target = join(folder, 'node_modules/@tensorflow/tfjs-node');
    mkdirSync(target, { recursive: true });
    writeFileSync(join(target, 'package.json'), '{"name": "@tensorflow/tfjs-node", "version": "4.22.0"}');
    writeFileSync(join(target, 'index.js'), tfjsNode);
  }
  return { folder, path: (file) => join(folder, '.build/js', file) };
}

function link(folder: string, name: string): void {
  const target = join(folder, 'node_modules', name);
  mkdirSync(dirname(target), { recursive: true });
  symlinkSync(join(repoRoot, 'node_modules', name), target);
}
