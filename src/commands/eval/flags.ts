// The flags of `eval`. Light on purpose: `--help` loads this file.

import { type Command, Option } from 'commander';
import { ConfigError } from '../../errors.js';
import { addWithUnderscores } from '../infer/flags.js';
import { parseNumber } from '../infer/number.js';
import { NUMBER_RULES } from '../infer/rules.js';
import { addConfigFileOptions } from '../options.js';

/** What commander hands to the action; nothing is checked yet. */
export interface EvalFlags {
  readonly ckpt?: readonly string[];
  readonly data?: readonly string[];
  readonly json?: boolean;
  readonly wrong?: string;
  readonly limit?: string;
  readonly minConfidence?: string;
  readonly chooseConfidence?: boolean;
  readonly config?: string;
  readonly set?: readonly string[];
  readonly saveDir?: string;
  readonly engine?: string;
}

export interface EvalOptions {
  /** Checkpoints as `infer --ckpt` takes them. */
  readonly checkpoints: readonly string[];
  /** null: the default of the configuration. */
  readonly dataPaths: readonly string[] | null;
  readonly asJson: boolean;
  /** Wrong answers to show at most. */
  readonly wrong: number;
  /** Rows of each file to draw; null = all. */
  readonly limit: number | null;
  /** 0 = no answer is withheld. */
  readonly minConfidence: number;
  readonly isChoosing: boolean;
}

const DEFAULT_WRONG = 5;

export function addEvalFlags(command: Command): void {
  const add = (flags: string, help: string) => addWithUnderscores(command, new Option(flags, help));
  add('--ckpt <folders...>', 'checkpoints: folders, or last, best, quantized (default: best)');
  add('--data <files...>', 'JSONL files (default: test.jsonl beside data.val_path, else data.val_path)');
  add('--wrong <n>', `wrong answers to show; --json has them all (default: ${DEFAULT_WRONG})`);
  add('--limit <n>', 'draw so many rows of each file, always the same ones (default: all)');
  add('--min-confidence <p>', 'take answers of a lower mean probability for 不知道。 (default: 0)');
  add('--choose-confidence', 'find the best value for --min-confidence on the validation data');
  add('--json', 'one JSON object for each checkpoint and file');
  add('--save-dir <folder>', 'where the checkpoints are');
  add('--engine <name>', 'auto, native or tfjs');
  addConfigFileOptions(command);
}

const COUNT = { isInteger: true, advice: '', example: '10' };

/** Throws ConfigError that names flag, value and what is allowed. */
export function parseEvalOptions(flags: EvalFlags): EvalOptions {
  const options = {
    checkpoints: flags.ckpt ?? ['best'],
    dataPaths: flags.data ?? null,
    asJson: flags.json ?? false,
    wrong:
      flags.wrong === undefined
        ? DEFAULT_WRONG
        : parseNumber(flags.wrong, { ...COUNT, flag: '--wrong', min: 0, advice: '0 shows none.' }),
    limit:
      flags.limit === undefined
        ? null
        : parseNumber(flags.limit, { ...COUNT, flag: '--limit', min: 1, advice: 'Leave it out for all rows.' }),
    minConfidence: flags.minConfidence === undefined ? 0 : parseNumber(flags.minConfidence, NUMBER_RULES.minConfidence),
    isChoosing: flags.chooseConfidence ?? false,
  };
  if (options.isChoosing) throwIfGiven(flags);
  return options;
}

/** A threshold chosen on test rows would make the figures on them too good. */
function throwIfGiven({ data, minConfidence }: EvalFlags): void {
  const other = data !== undefined ? '--data' : minConfidence !== undefined ? '--min-confidence' : null;
  if (other === null) return;
  throw new ConfigError(
    `--choose-confidence and ${other} don't go together.\n` +
      '  The threshold is chosen on the validation data (data.val_path) and on nothing else, so that the test stays a test.\n' +
      `  Leave one of them out; another validation file: --set data.val_path=FILE.`,
  );
}
