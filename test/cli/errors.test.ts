// What a user sees who mistypes a flag or has a mistake in a file: exit code 2, the exact text, and no stack trace.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runCli, writeProject } from '../helpers/cli.js';

const folder = mkdtempSync(join(tmpdir(), 'gpt-loom-cli-'));
before(() => writeProject(folder));
after(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

const SEE_HELP = '  See gpt-loom --help, or gpt-loom <command> --help.\n';
const working = ['tokenizer.path=tokenizer.json', 'data.train_path=rows.jsonl', 'data.val_path=rows.jsonl'].flatMap(
  (assignment) => ['--set', assignment],
);

const cases: [what: string, args: string[], stderr: string | RegExp][] = [
  [
    'a missing configuration file',
    ['train', '--config', 'nope.yaml'],
    `ConfigError: There is no configuration file nope.yaml.\n  Looked for ${folder}/nope.yaml. ` +
      'Pass an existing file with --config FILE, or leave the option out to use the defaults.\n',
  ],
  [
    'bad YAML',
    ['train', '--config', write('bad.yaml', 'model:\n  n_layer: 4\n n_head: 4\n')],
    'ConfigError: bad.yaml line 3, column 2: not valid YAML: bad indentation of a mapping entry.\n' +
      '  Line 3 reads:  n_head: 4\n' +
      '  Write one `key: value` a line, indent the keys of a section by two spaces, and put a space after the colon.\n',
  ],
  [
    'an unknown key',
    ['train', '--config', write('unknown.yaml', 'training:\n  learnin_rate: 1\n')],
    'ConfigError: unknown.yaml line 2: unknown key training.learnin_rate.\n  Known here: batch_size, micro_batch, lr, min_lr, ' +
      'warmup_steps, max_steps, weight_decay, beta1, beta2, eps, grad_clip, eval_interval, save_interval, ' +
      'early_stopping_patience, save_dir, seed, threads, init_from, merge_duplicates.\n',
  ],
  [
    'a wrong type',
    ['train', '--config', write('type.yaml', 'training:\n  max_steps: many\n')],
    'ConfigError: type.yaml line 2: training.max_steps is the text "many"; expected a whole number from 1 to 1000000000.\n' +
      '  The default is 2000.\n',
  ],
  [
    'a batch that cannot be divided',
    ['train', '--set', 'training.micro_batch=3'],
    'ConfigError: --set training.micro_batch=3: training.batch_size 16 cannot be split evenly into micro-batches of 3 (training.micro_batch).\n' +
      '  Every micro-batch must hold the same number of samples. Use micro_batch 1, 2, 4, 8 or 16, or batch_size 15 or 18.\n',
  ],
  [
    'a flag with a wrong value',
    ['train', '--threads', '0'],
    'ConfigError: --threads: training.threads is 0; expected auto or a whole number from 1 to 256.\n  The default is auto.\n',
  ],
  [
    'missing data',
    ['train', ...working, '--set', 'data.train_path=no.jsonl'],
    /^DataError: There is no data file no\.jsonl\.\n {2}\S/,
  ],
  [
    'empty data',
    ['train', ...working, '--set', `data.train_path=${write('empty.jsonl', '')}`],
    /^DataError: empty\.jsonl has no rows.*\n {2}\S/,
  ],
  [
    'broken JSON',
    [
      'train',
      ...working,
      '--set',
      `data.train_path=${write('broken.jsonl', '{"prompt": "x", "completion": "y"}\n{"prompt": "x"\n')}`,
    ],
    /^DataError: broken\.jsonl: 1 bad row\.\n {2}line 2: not JSON/,
  ],
  ['a missing tokenizer', ['train', ...working, '--set', 'tokenizer.path=no.json'], /^DataError: .*no\.json.*\n {2}\S/],
  [
    'a save folder below a file',
    ['train', ...working, '--save-dir', 'rows.jsonl/x'],
    /^ConfigError: .*rows\.jsonl\/x.*\n {2}\S/,
  ],
  ['a missing checkpoint', ['infer', '--ckpt', 'no', '--prompt', 'x'], /^CheckpointError: .*\n {2}\S/],
  ['an unknown command', ['trian'], `UsageError: unknown command 'trian'\n  Did you mean train?\n${SEE_HELP}`],
  [
    'an unknown flag',
    ['train', '--thread', '2'],
    `UsageError: unknown option '--thread'\n  Did you mean --threads?\n${SEE_HELP}`,
  ],
  [
    'a flag without its value',
    ['train', '--config'],
    `UsageError: option '--config <file>' argument missing\n${SEE_HELP}`,
  ],
  [
    'too many words',
    ['train', 'now'],
    `UsageError: too many arguments for 'train'. Expected 0 arguments but got 1.\n${SEE_HELP}`,
  ],
  ['no command at all', [], /^Usage: gpt-loom \[options\] \[command\]\n/],
];

test('cli: refuses bad input with exit code 2 and the reason', { concurrency: 2 }, async (t) => {
  await Promise.all(
    cases.map(([what, args, expected]) =>
      t.test(what, async () => {
        const { exitCode, stdout, stderr } = await runCli(args, { cwd: folder });
        if (typeof expected === 'string') assert.equal(stderr, expected);
        else assert.match(stderr, expected);
        assert.doesNotMatch(stderr, /\n {4}at |node:internal/);
        assert.equal(stdout, '');
        assert.equal(exitCode, 2);
      }),
    ),
  );
});

test('cli: with DEBUG set shows where an error comes from', async () => {
  const { exitCode, stderr } = await runCli(['train', '--threads', '0'], { env: { DEBUG: '1' } });
  assert.match(stderr, /^ConfigError: --threads: .*\n {2}The default is auto\.\n {4}at /);
  assert.equal(exitCode, 2);
});
