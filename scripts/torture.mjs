// `npm run test:torture`: the set-up has compiled everything; this starts the torture with its arguments.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './setup/files.mjs';

const main = join(root, '.build/js/test/torture/main.js');
// The states of three workers in every order take more than Node's own limit.
const heap = '--max-old-space-size=8192';
const { status } = spawnSync(process.execPath, [heap, main, ...process.argv.slice(2)], { stdio: 'inherit' });
process.exitCode = status ?? 1;
