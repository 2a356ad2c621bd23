// Creating folders. A leaf: everything that writes files may need it.

import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Creates a folder and the parents it lacks; fine if it is there and a folder. Throws what mkdir throws.
 * Node's own `recursive: true` never returns where the system says ENOENT for a folder whose parent exists (/proc/x, Node 20).
 */
export function makeFolder(path: string): void {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.unshift(at);
  if (missing.length === 0) missing.push(path);
  for (const folder of missing) {
    try {
      mkdirSync(folder);
    } catch (error) {
      const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST' && statSync(folder).isDirectory();
      if (!isThere) throw error;
    }
  }
}
