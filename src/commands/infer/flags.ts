// The flags of `infer`: how they are spelled, what they mean, what they may be. Texts in, checked settings out.
// Light on purpose: `--help` loads this file.

import { type Command, Option } from 'commander';
import { ConfigError } from '../../errors.js';
import { DEFAULT_GENERATE_OPTIONS, type GenerateOptions } from '../../sampling/options.js';
import { parseNumber } from './number.js';
import { DEFAULT_HISTORY, NUMBER_RULES } from './rules.js';

/** What commander hands to the action; nothing is checked yet. */
export interface InferFlags extends Partial<Record<keyof typeof NUMBER_RULES, string>> {
  readonly prompt?: readonly string[];
  readonly promptFile?: string;
  readonly ckpt?: string;
  /** `true` when the flag stands without any text. */
  readonly stopStrings?: readonly string[] | true;
  readonly showLabel?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly confidence?: boolean;
  readonly device?: string;
  readonly config?: string;
  readonly set?: readonly string[];
  readonly saveDir?: string;
  readonly engine?: string;
  readonly threads?: string;
}

export interface AnswerOptions extends Omit<GenerateOptions, 'seed'> {
  /** null: a new one for every answer. */
  readonly seed: number | null;
  /** Answers of a lower mean confidence are withheld; 0 = none. */
  readonly minConfidence: number;
}

/** Adds all flags of `infer`. Those of more than one word are taken with underscores as well, as the original spells them. */
export function addInferFlags(command: Command): void {
  const add = (flags: string, help: string) => addWithUnderscores(command, new Option(flags, help));
  command.option('--prompt <text>', 'question to answer; may be repeated', collect);
  add('--prompt-file <file>', 'one question a line; - = standard input');
  command.option(
    '--ckpt <folder>',
    'checkpoint: a folder, or last, best, quantized (default: last in the save directory)',
  );
  for (const { flag, help } of Object.values(NUMBER_RULES)) add(`${flag} <n>`, help);
  add('--stop-strings [text...]', 'end the answer before any of these');
  add('--show-label', 'print 回答: before the answer');
  command
    .option('--confidence', 'show how sure the model is of each token, on standard error (or in --json)')
    .option('--json', 'one JSON object a question')
    .option('--quiet', 'no speed on standard error')
    .option('--device <name>', 'cpu or auto: everything runs on the CPU')
    .option('--config <file>', 'configuration (default: config.yaml if there is one)')
    .option('--set <key=value>', 'set any key of the configuration; may be repeated', collect);
  add('--save-dir <folder>', 'where the checkpoints are');
  command
    .option('--engine <name>', 'auto, native or tfjs')
    .option('--threads <n>', 'as for training; one answer is computed by one thread');
}

const DEFAULTS = { ...DEFAULT_GENERATE_OPTIONS, minConfidence: 0 };

/** Checks all numbers and how they go together. Throws ConfigError that names flag, value and what is allowed. */
export function parseAnswerOptions(flags: InferFlags): AnswerOptions {
  const number = (key: Exclude<keyof typeof NUMBER_RULES, 'history'>) => {
    const text = flags[key];
    return text === undefined ? DEFAULTS[key] : parseNumber(text, NUMBER_RULES[key]);
  };
  const options = {
    temperature: number('temperature'),
    topK: number('topK'),
    topP: number('topP'),
    maxNewTokens: number('maxNewTokens'),
    minTokens: number('minTokens'),
    repetitionPenalty: number('repetitionPenalty'),
    repetitionWindow: number('repetitionWindow'),
    minConfidence: number('minConfidence'),
    seed: flags.seed === undefined ? null : number('seed'),
    stopStrings: parseStopStrings(flags.stopStrings),
  };
  if (options.minTokens > options.maxNewTokens) {
    throw new ConfigError(
      `--min-tokens ${options.minTokens} is more than --max-new-tokens ${options.maxNewTokens}.\n` +
        '  The shortest answer allowed can be no longer than the longest. Lower the one or raise the other.',
    );
  }
  return options;
}

/** How many earlier turns of a conversation count. Throws ConfigError. */
export function parseHistory(text: string | undefined): number {
  return text === undefined ? DEFAULT_HISTORY : parseNumber(text, NUMBER_RULES.history);
}

/** Throws ConfigError unless the device is the one we have. */
export function checkDevice(device: string | undefined): void {
  if (device === undefined || device === 'cpu' || device === 'auto') return;
  throw new ConfigError(
    `--device ${device} is not available.\n  gpt-loom computes on the CPU alone: expected cpu or auto.\n  Leave --device out.`,
  );
}

/** Texts of one answer's end. An empty one would end every answer at once. */
function parseStopStrings(texts: InferFlags['stopStrings']): readonly string[] {
  if (texts === undefined || texts === true) return [];
  if (!texts.includes('')) return texts;
  throw new ConfigError(
    '--stop-strings has an empty text among its values.\n' +
      '  Every text has an empty one in front, so the answer would end before it began.\n' +
      '  Give texts of at least one character, for example --stop-strings 。',
  );
}

/** The option and, for a name of more than one word, the same one spelled with underscores. */
export function addWithUnderscores(command: Command, option: Option): void {
  command.addOption(option);
  const [name, ...argument] = option.flags.split(' ');
  const spelling = `--${name.slice(2).replaceAll('-', '_')}`;
  if (spelling === name) return;
  const alias = new Option([spelling, ...argument].join(' ')).hideHelp();
  // Both spellings write to the same place.
  alias.attributeName = () => option.attributeName();
  command.addOption(alias);
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}
