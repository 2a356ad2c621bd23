// Which data a model is judged by unless the user says so.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from '../../config/config.js';

/** The test split, test.jsonl beside the validation data, where there is one; else the validation data. */
export function defaultDataPath({ data: { valPath } }: Config): string {
  const test = join(dirname(valPath), 'test.jsonl');
  return existsSync(test) ? test : valPath;
}
