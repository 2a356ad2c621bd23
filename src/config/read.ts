// The bytes of a configuration file -> text. Refuses what can't be one: folders, huge files, other encodings.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from '../errors.js';

const MAX_CONFIG_BYTES = 1 << 20;

/** Text of the file; '' when it isn't there and `isRequired` is false. Throws ConfigError when it can't be read or isn't UTF-8. */
export function readConfigText(path: string, isRequired: boolean): string {
  let bytes: Uint8Array;
  try {
    bytes = readAtMost(path, MAX_CONFIG_BYTES + 1);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' && !isRequired) return '';
    throw fileProblem(path === '' ? '""' : path, code, error);
  }
  if (bytes.length > MAX_CONFIG_BYTES) {
    throw new ConfigError(
      `${path} is larger than 1 MB, so it can't be a configuration.\n  Pass the YAML file with the settings: --config config.yaml.`,
    );
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new ConfigError(`${path} is not UTF-8 text.\n  Save it as UTF-8 (in the editor: "Save with encoding").`, {
      cause: error,
    });
  }
}

function fileProblem(path: string, code: string | undefined, cause: unknown): ConfigError {
  const problem: Record<string, string> = {
    ENOENT: `There is no configuration file ${path}.\n  Looked for ${resolve(path)}. Pass an existing file with --config FILE, or leave the option out to use the defaults.`,
    EISDIR: `${path} is a folder, not a configuration file.\n  Pass the YAML file itself, e.g. --config ${path.replace(/\/+$/, '')}/config.yaml.`,
    EACCES: `No permission to read the configuration file ${path}.\n  Make it readable: chmod u+r ${path}.`,
  };
  const other = `The configuration file ${path} cannot be read (${code ?? cause}).\n  Pass a readable file with --config FILE.`;
  return new ConfigError((code !== undefined && problem[code]) || other, { cause });
}

/** Never reads past `limit`: the path may be a pipe or a device without end. */
function readAtMost(path: string, limit: number): Uint8Array {
  const file = openSync(path, 'r');
  try {
    if (fstatSync(file).isDirectory()) throw Object.assign(new Error('is a directory'), { code: 'EISDIR' });
    const buffer = new Uint8Array(limit);
    let length = 0;
    while (length < limit) {
      const count = readSync(file, buffer, length, limit - length, null);
      if (count === 0) break;
      length += count;
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(file);
  }
}
