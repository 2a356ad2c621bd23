// Findings about what is to be trained: configuration, engine, tokenizer, data, the folder for checkpoints.

import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Config } from '../../config/config.js';
import { loadRows } from '../../data/jsonl.js';
import { describeEngine, selectEngine } from '../../engine/select.js';
import { loadTokenizer } from '../../tokenizer/tokenizer.js';
import { formatCounted } from '../../ui/format.js';
import { type ConfigOptions, configFromOptions } from '../options.js';
import { type Finding, findingOfError } from './finding.js';

/** With a configuration that can't be read, nothing else here can be looked at. */
export async function examineProject(options: ConfigOptions): Promise<Finding[]> {
  let config: Config;
  try {
    config = await configFromOptions(options);
  } catch (error) {
    return [findingOfError('configuration', 'problem', error)];
  }
  const { nLayer, nHead, nEmbd } = config.model;
  const source = options.config ?? (existsSync('config.yaml') ? 'config.yaml' : 'defaults, no config.yaml here');
  const shape = `${nLayer} layers, ${nHead} heads, ${nEmbd} channels`;
  return [
    { name: 'configuration', status: 'ok', detail: `${source}: ${shape}`, isNeeded: true },
    engineFinding(config),
    fileFinding('tokenizer', config.tokenizer.path, (path) => `${loadTokenizer(path).vocabSize} tokens`, TOKENIZER_FIX),
    fileFinding('training data', config.data.trainPath, countRows),
    fileFinding('validation data', config.data.valPath, countRows),
    saveDirFinding(config.training.saveDir),
  ];
}

const TOKENIZER_FIX = 'Build it: gpt-loom tokenizer build';

function engineFinding({ engine, precision, tfjs }: Config): Finding {
  try {
    const selection = selectEngine(engine, precision, tfjs.backend);
    const { name, detail } = describeEngine(selection);
    return { name: 'engine', status: 'ok', detail: `${name} (${detail}), ${selection.precision}`, isNeeded: true };
  } catch (error) {
    return findingOfError('engine', 'problem', error);
  }
}

/** `missingFix` replaces the advice of the error when the file isn't there. */
function fileFinding(name: string, path: string, describe: (path: string) => string, missingFix?: string): Finding {
  try {
    return { name, status: 'ok', detail: `${path}: ${describe(path)}`, isNeeded: true };
  } catch (error) {
    const isMissing = !existsSync(path);
    const finding = findingOfError(name, isMissing ? 'missing' : 'problem', error);
    return isMissing && missingFix !== undefined ? { ...finding, fix: missingFix } : finding;
  }
}

function countRows(path: string): string {
  return formatCounted(loadRows(path).length, 'row');
}

/** Looks, without making the folder. */
function saveDirFinding(saveDir: string): Finding {
  const name = 'save folder';
  let existing = resolve(saveDir);
  while (!existsSync(existing)) existing = dirname(existing);
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
    if (!statSync(existing).isDirectory()) throw new Error('it is a file');
    return { name, status: 'ok', detail: `${saveDir} can be written`, isNeeded: true };
  } catch (error) {
    const detail = `${saveDir} cannot be written: ${(error as Error).message}`;
    const fix = 'Choose another folder: training.save_dir in config.yaml, or --save-dir.';
    return { name, status: 'problem', detail, fix, isNeeded: true };
  }
}
