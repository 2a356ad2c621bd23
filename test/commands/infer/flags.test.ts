import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Command } from 'commander';
import {
  type AnswerOptions,
  addInferFlags,
  checkDevice,
  type InferFlags,
  parseAnswerOptions,
} from '../../../src/commands/infer/flags.js';
import { ConfigError } from '../../../src/errors.js';

function parse(...argv: string[]): InferFlags {
  const command = new Command('infer').exitOverride().configureOutput({ writeErr: () => {} });
  addInferFlags(command);
  return command.parse(argv, { from: 'user' }).opts();
}

const DEFAULTS: AnswerOptions = {
  temperature: 0,
  topK: 0,
  topP: 1,
  maxNewTokens: 64,
  minTokens: 1,
  repetitionPenalty: 1,
  repetitionWindow: 16,
  minConfidence: 0,
  seed: null,
  stopStrings: [],
};

function assertRefused(argv: string[], message: string): void {
  assert.throws(
    () => {
      const flags = parse(...argv);
      parseAnswerOptions(flags);
      checkDevice(flags.device);
    },
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.message, message);
      return true;
    },
  );
}

describe('infer flags', () => {
  it('infer flags: the defaults are greedy, 64 tokens, at least 1, nothing penalised', () => {
    assert.deepEqual(parseAnswerOptions(parse()), DEFAULTS);
  });

  const spellings: [flag: string, values: string[], option: keyof AnswerOptions, expected: unknown][] = [
    ['max-new-tokens', ['7'], 'maxNewTokens', 7],
    ['temperature', ['0.8'], 'temperature', 0.8],
    ['top-k', ['40'], 'topK', 40],
    ['top-p', ['9e-1'], 'topP', 0.9],
    ['repetition-penalty', ['1.5'], 'repetitionPenalty', 1.5],
    ['repetition-window', ['3'], 'repetitionWindow', 3],
    ['min-tokens', ['5'], 'minTokens', 5],
    ['min-confidence', ['0.9'], 'minConfidence', 0.9],
    ['seed', ['4294967295'], 'seed', 4294967295],
    ['stop-strings', ['。', '###'], 'stopStrings', ['。', '###']],
    ['stop-strings', [], 'stopStrings', []],
  ];
  for (const [flag, values, option, expected] of spellings) {
    it(`infer flags: --${flag} ${values.join(' ')} is understood with dashes and with underscores`, () => {
      for (const spelling of [`--${flag}`, `--${flag.replaceAll('-', '_')}`]) {
        const options = parseAnswerOptions(parse(spelling, ...values));
        assert.deepEqual(options, { ...DEFAULTS, [option]: expected });
        if (values.length === 1) {
          assert.deepEqual(parseAnswerOptions(parse(`${spelling}=${values[0]}`)), { ...DEFAULTS, [option]: expected });
        }
      }
    });
  }

  it('infer flags: both spellings work for the flags without numbers, too', () => {
    for (const argv of [
      ['--show_label', '--prompt_file', 'q.txt', '--save_dir', 'out'],
      ['--show-label', '--prompt-file', 'q.txt', '--save-dir', 'out'],
    ]) {
      assert.deepEqual(parse(...argv), { showLabel: true, promptFile: 'q.txt', saveDir: 'out' });
    }
  });

  it('infer flags: --prompt may be repeated, and takes texts that look like flags', () => {
    assert.deepEqual(parse('--prompt', '甲', '--prompt', '--top_k').prompt, ['甲', '--top_k']);
  });

  it('infer flags: stop strings of both spellings add up', () => {
    const { stopStrings } = parse('--stop_strings', '。', '！', '--show_label', '--stop-strings', '？');
    assert.deepEqual(stopStrings, ['。', '！', '？']);
  });

  it('infer flags: --help shows each flag once, with dashes', () => {
    const command = new Command('infer');
    addInferFlags(command);
    const help = command.helpInformation();
    assert.match(help, /--max-new-tokens <n> +longest answer, in tokens \(default: 64\)/);
    assert.doesNotMatch(help, /--\w+_\w/);
  });

  it('infer flags: the device of the original may be cpu or auto', () => {
    for (const device of [undefined, 'cpu', 'auto']) checkDevice(device);
    assertRefused(
      ['--device', 'cuda'],
      '--device cuda is not available.\n  gpt-loom computes on the CPU alone: expected cpu or auto.\n  Leave --device out.',
    );
  });

  const refused: [argv: string[], message: string][] = [
    [
      ['--max_new_tokens', '0'],
      '--max-new-tokens is "0".\n' +
        '  Expected an integer of at least 1. The answer may be shorter: the model ends it, or its sequence is full.\n' +
        '  For example: --max-new-tokens 64',
    ],
    [
      ['--max-new-tokens', '1.5'],
      '--max-new-tokens is "1.5".\n' +
        '  Expected an integer of at least 1. The answer may be shorter: the model ends it, or its sequence is full.\n' +
        '  For example: --max-new-tokens 64',
    ],
    [
      ['--temperature', 'warm'],
      '--temperature is "warm".\n' +
        '  Expected a number of at least 0. 0 always takes the likeliest token, 1 follows the probabilities of the model.\n' +
        '  For example: --temperature 0.8',
    ],
    [
      ['--temperature', '-1'],
      '--temperature is "-1".\n' +
        '  Expected a number of at least 0. 0 always takes the likeliest token, 1 follows the probabilities of the model.\n' +
        '  For example: --temperature 0.8',
    ],
    [
      ['--top_k', '-1'],
      '--top-k is "-1".\n' +
        '  Expected an integer of at least 0. 0 draws from all tokens. Without effect at temperature 0.\n' +
        '  For example: --top-k 40',
    ],
    [
      ['--top_p', '0'],
      '--top-p is "0".\n' +
        '  Expected a number above 0 and at most 1. 1 draws from all tokens. Without effect at temperature 0.\n' +
        '  For example: --top-p 0.9',
    ],
    [
      ['--top_p', '1.01'],
      '--top-p is "1.01".\n' +
        '  Expected a number above 0 and at most 1. 1 draws from all tokens. Without effect at temperature 0.\n' +
        '  For example: --top-p 0.9',
    ],
    [
      ['--repetition_penalty', '0'],
      '--repetition-penalty is "0".\n' +
        '  Expected a number above 0. 1 changes nothing, more than 1 avoids repetition, less than 1 invites it.\n' +
        '  For example: --repetition-penalty 1.1',
    ],
    [
      ['--repetition-window', '-3'],
      '--repetition-window is "-3".\n' +
        '  Expected an integer of at least 0. The repetition penalty looks at so many of the last tokens of the answer.\n' +
        '  For example: --repetition-window 16',
    ],
    [
      ['--min_tokens', 'one'],
      '--min-tokens is "one".\n' +
        '  Expected an integer of at least 0. 0 allows an empty answer.\n' +
        '  For example: --min-tokens 1',
    ],
    [
      ['--min_tokens', '65'],
      '--min-tokens 65 is more than --max-new-tokens 64.\n' +
        '  The shortest answer allowed can be no longer than the longest. Lower the one or raise the other.',
    ],
    [
      ['--seed', '4294967296'],
      '--seed is "4294967296".\n' +
        '  Expected an integer of at least 0 and at most 4294967295. Without effect at temperature 0.\n' +
        '  For example: --seed 42',
    ],
    [
      ['--stop_strings', '。', ''],
      '--stop-strings has an empty text among its values.\n' +
        '  Every text has an empty one in front, so the answer would end before it began.\n' +
        '  Give texts of at least one character, for example --stop-strings 。',
    ],
  ];
  for (const [argv, message] of refused) {
    it(`infer flags: refuses ${argv.map((arg) => arg || "''").join(' ')}`, () => assertRefused(argv, message));
  }

  it('infer flags: takes no number in a notation that only JavaScript knows', () => {
    for (const text of ['', ' ', '0x10', '1_000', 'Infinity', 'NaN', '1e999', '１']) {
      assert.throws(() => parseAnswerOptions(parse('--temperature', text)), ConfigError, `accepted "${text}"`);
    }
    assert.equal(parseAnswerOptions(parse('--temperature', '.5')).temperature, 0.5);
    assert.equal(parseAnswerOptions(parse('--temperature', '+1.')).temperature, 1);
  });
});
