// Where facts about the machine come from: files of the kernel on Linux, sysctl on macOS. Tests put their own in its place.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface MachineSource {
  readonly platform: NodeJS.Platform;
  /** Text of a file, or null where there is none. */
  readText(path: string): string | null;
  /** Value of a sysctl name on macOS, or null. */
  sysctl(name: string): string | null;
}

/** The machine we run on. */
export const thisMachine: MachineSource = {
  platform: process.platform,
  readText(path) {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return null;
    }
  },
  sysctl(name) {
    try {
      return execFileSync('sysctl', ['-n', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    } catch {
      return null;
    }
  },
};
