// Makes the clone ready to run: packages, native kernels, JavaScript, tokenizer. `npm start` and `npm test` begin with it.
// Each step looks at contents and does nothing when all is up to date; then the whole takes a fraction of a second.
// This file must parse on any old Node, so that the first thing a user reads is which Node to get.

import { readFileSync } from 'node:fs';

const packageJson = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const wanted = Number(packageJson.engines.node.replace(/\D*/, ''));
const present = Number(process.versions.node.split('.')[0]);

if (present < wanted) {
  process.stderr.write(
    'gpt-loom needs Node.js ' +
      wanted +
      ' or newer; this is ' +
      process.version +
      ' (' +
      process.execPath +
      ').\n' +
      '  Install a newer one, e.g. from https://nodejs.org, then run the command again.\n',
  );
  process.exitCode = 1;
} else {
  import('./setup/main.mjs').then(({ setUp }) => setUp());
}
