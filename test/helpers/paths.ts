// Where things lie, seen from a compiled test: the tests run from .build/js/test, the fixtures stay in test/fixtures.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of package.json. */
export const repoRoot = fileURLToPath(new URL('../../../..', import.meta.url));

/** Absolute path of a file below test/fixtures. */
export function fixture(name: string): string {
  return join(repoRoot, 'test/fixtures', name);
}
