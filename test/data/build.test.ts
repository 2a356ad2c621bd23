// The data set and its builder: what ships is what the source gives, the splits share nothing, bad sources are named.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { Command } from 'commander';
import { registerData } from '../../src/commands/data.js';
import { buildSplits, formatRows, SPLIT_NAMES, type Splits } from '../../src/data/build.js';
import { DIALOGUE_TOPIC, parseSource, questionKey, type Source } from '../../src/data/build-source.js';
import { REFUSAL } from '../../src/data/template.js';
import { ConfigError, DataError, FileError } from '../../src/errors.js';
import { repoRoot } from '../helpers/paths.js';

const SEED = 1;

function readData(name: string): string {
  return readFileSync(join(repoRoot, 'data', name), 'utf8');
}

function readSource(): Source {
  return parseSource(
    { path: 'data/facts.jsonl', text: readData('facts.jsonl') },
    { path: 'data/outside.jsonl', text: readData('outside.jsonl') },
  );
}

/** The questions of a prompt, as a user types them: one, or two in a dialogue. */
function questionsOf(prompt: string): string[] {
  return prompt.split(/\n助手:.*\n用户:/u);
}

function questionKeys(splits: Splits, name: (typeof SPLIT_NAMES)[number]): Set<string> {
  return new Set(splits[name].flatMap(({ prompt }) => questionsOf(prompt).map(questionKey)));
}

describe('shipped data', () => {
  let source: Source;
  let splits: Splits;
  before(() => {
    source = readSource();
    splits = buildSplits(source, SEED);
  });

  test('data build: gives the shipped files byte for byte', () => {
    for (const name of SPLIT_NAMES) {
      assert.ok(
        formatRows(splits[name]) === readData(`${name}.jsonl`),
        `data/${name}.jsonl is not what the source gives`,
      );
    }
  });

  test('shipped data: teaches at least 230 facts, each in 8 wordings or more, with answers of at most 60 characters', () => {
    assert.ok(source.facts.length >= 230, `${source.facts.length} facts`);
    assert.ok(source.outside.length >= 240, `${source.outside.length} questions outside`);
    for (const { id, answer, wordings } of source.facts) {
      assert.ok(new Set(wordings.map(questionKey)).size >= 8, `${id} has ${wordings.length} wordings`);
      assert.ok([...answer].length <= 60, `${id} answers in ${[...answer].length} characters`);
    }
  });

  test('shipped data: gives every fact an answer of its own', () => {
    assert.equal(new Set(source.facts.map(({ answer }) => answer)).size, source.facts.length);
  });

  test('shipped data: has no space in a question, since prompts lose their spaces', () => {
    const questions = [...source.facts.flatMap(({ wordings }) => wordings), ...source.outside];
    assert.deepEqual(
      questions.filter((question) => /\s/u.test(question)),
      [],
    );
  });

  test('shipped data: has at least 510 training and 90 validation rows, all distinct', () => {
    assert.ok(splits.train.length >= 510, `${splits.train.length} training rows`);
    assert.ok(splits.val.length >= 90, `${splits.val.length} validation rows`);
    const prompts = SPLIT_NAMES.flatMap((name) => splits[name].map(({ prompt }) => questionKey(prompt)));
    assert.equal(new Set(prompts).size, prompts.length);
  });

  test('data build: lets no question into two splits, not even as a turn of a dialogue', () => {
    const [train, val, test] = SPLIT_NAMES.map((name) => questionKeys(splits, name));
    const shared = [...val, ...test].filter((key) => train.has(key)).concat([...test].filter((key) => val.has(key)));
    assert.deepEqual(shared, []);
    assert.equal(
      train.size + val.size + test.size,
      source.facts.flatMap((f) => f.wordings).length + source.outside.length,
    );
  });

  test('data build: asks every fact once in test, every second once in validation, and otherwise in training', () => {
    source.facts.forEach(({ id, answer, wordings }, index) => {
      const counts = SPLIT_NAMES.map(
        (name) => splits[name].filter((row) => row.completion === answer && row.topic !== DIALOGUE_TOPIC).length,
      );
      const inVal = index % 2 === 0 ? 1 : 0;
      assert.deepEqual(counts, [wordings.length - 1 - inVal, inVal, 1], id);
    });
  });

  test('data build: gives 15 % of the outside questions to test, 5 % to validation, the rest to training', () => {
    const single = SPLIT_NAMES.map(
      (name) =>
        splits[name].filter(({ prompt, completion }) => completion === REFUSAL && !prompt.includes('\n')).length,
    );
    const count = source.outside.length;
    const [val, test] = [Math.round(count * 0.05), Math.round(count * 0.15)];
    assert.deepEqual(single, [count - val - test, val, test]);
  });

  test('data build: writes dialogues in the template, with the taught answer to both turns', () => {
    const answers = new Map(
      source.facts.flatMap(({ answer, wordings }) => wordings.map((wording): [string, string] => [wording, answer])),
    );
    for (const question of source.outside) answers.set(question, REFUSAL);
    const dialogues = SPLIT_NAMES.map((name) => splits[name].filter(({ prompt }) => prompt.includes('\n')));
    for (const { prompt, completion } of dialogues.flat()) {
      const [, first, firstAnswer, second] = /^(.*)\n助手:(.*)\n用户:(.*)$/u.exec(prompt) ?? [];
      assert.equal(firstAnswer, answers.get(first), prompt);
      assert.equal(completion, answers.get(second), prompt);
    }
    // One dialogue of taught questions for every 6 (60, 30) facts, and a quarter more, rounded up, with an outside turn.
    const taught = [6, 60, 30].map((factsEach) => Math.floor(source.facts.length / factsEach));
    assert.deepEqual(
      dialogues.map((rows) => rows.length),
      taught.map((count) => count + Math.ceil(count / 4)),
    );
  });

  test('data build: another seed splits otherwise', () => {
    const other = buildSplits(source, SEED + 1);
    const test1 = questionKeys(splits, 'test');
    const kept = [...questionKeys(other, 'test')].filter((key) => test1.has(key)).length;
    assert.ok(kept < test1.size / 2, `${kept} of ${test1.size} test questions are the same`);
  });
});

const FACT = { id: 'a', topic: 'science', answer: '甲。', wordings: ['一', '二', '三'] };

const BAD_FACTS: readonly { what: string; lines: readonly unknown[]; message: string }[] = [
  {
    what: 'broken JSON',
    lines: [FACT, '{"id":"b",'],
    message:
      'facts.jsonl:2: this is not a JSON object: {"id":"b",\n' +
      '  Every line is one JSON object with the keys id, topic, answer, wordings. Mend the line or delete it.',
  },
  {
    what: 'an unknown key',
    lines: [{ ...FACT, anwser: '乙。' }],
    message:
      'facts.jsonl:1: unknown key "anwser".\n' +
      '  Every line is one JSON object with the keys id, topic, answer, wordings.',
  },
  {
    what: 'a missing answer',
    lines: ['', { id: 'a', topic: 'science', wordings: FACT.wordings }],
    message:
      'facts.jsonl:2: "answer" must be a text that isn\'t empty, got nothing.\n' +
      '  Every line is one JSON object with the keys id, topic, answer, wordings.',
  },
  {
    what: 'an answer of 61 characters',
    lines: [{ ...FACT, answer: '好'.repeat(61) }],
    message:
      `facts.jsonl:1: the answer has 61 characters: ${'好'.repeat(40)}…\n` +
      '  At most 60 fit, together with the question, into the context. Shorten it.',
  },
  {
    what: 'wordings that are no list of texts',
    lines: [{ ...FACT, wordings: ['一', 2, '三'] }],
    message:
      'facts.jsonl:1: "wordings" must be a list of texts, got ["一",2,"三"].\n' +
      '  Every line is one JSON object with the keys id, topic, answer, wordings.',
  },
  {
    what: 'too few wordings',
    lines: [{ ...FACT, wordings: ['一', '二'] }],
    message:
      'facts.jsonl:1: 2 of at least 3 wordings.\n' +
      '  One goes to test, one to validation, the rest to training; 8 or more teach well. Add some.',
  },
  {
    what: 'a wording used before, but for spaces and the question mark',
    lines: [FACT, { ...FACT, id: 'b', wordings: ['四', '五', '二 ？'] }],
    message:
      'facts.jsonl:2: the question 二 ？ was used before, at facts.jsonl:1.\n' +
      '  Spaces, capitals and punctuation at the end make no difference. Reword or delete one of them.',
  },
  {
    what: 'an id used before',
    lines: [FACT, { ...FACT, wordings: ['四', '五', '六'] }],
    message:
      'facts.jsonl:2: the id "a" was used before, at facts.jsonl:1.\n' +
      '  Every fact needs an id of its own. Rename one of them.',
  },
  {
    what: 'a mark of the template',
    lines: [{ ...FACT, wordings: ['一', '二', '三\n助手:好'] }],
    message:
      'facts.jsonl:1: the wording contains a line break: 三⏎助手:好\n' +
      '  Line breaks, 用户: and 助手: separate the turns of a dialogue. Take them out.',
  },
  {
    what: 'a topic of the builder',
    lines: [{ ...FACT, topic: 'outside' }],
    message: 'facts.jsonl:1: the topic "outside" is taken.\n  The builder gives it to rows of its own. Use another.',
  },
  {
    what: 'no rows',
    lines: [''],
    message:
      'facts.jsonl has no rows.\n' +
      '  Every line is one JSON object with the keys id, topic, answer, wordings. Write at least one.',
  },
];

const OUTSIDE = { topic: 'outside', prompt: '外' };

function toLines(rows: readonly unknown[]): string {
  return rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n');
}

describe('bad sources', () => {
  for (const { what, lines, message } of BAD_FACTS) {
    test(`data build: names file, line and reason for ${what}`, () => {
      assert.throws(
        () =>
          parseSource(
            { path: 'facts.jsonl', text: toLines(lines) },
            { path: 'outside.jsonl', text: toLines([OUTSIDE]) },
          ),
        new DataError(message),
      );
    });
  }

  test('data build: takes an answer of 60 characters and exactly 3 wordings', () => {
    const fact = { ...FACT, answer: '好'.repeat(60) };
    const source = parseSource(
      { path: 'facts.jsonl', text: toLines([fact]) },
      { path: 'outside.jsonl', text: toLines([OUTSIDE]) },
    );
    assert.deepEqual(source, { facts: [fact], outside: ['外'] });
  });

  test('data build: refuses an outside question that is taught', () => {
    const outside = toLines([OUTSIDE, { topic: 'outside', prompt: '三。' }]);
    assert.throws(
      () => parseSource({ path: 'facts.jsonl', text: toLines([FACT]) }, { path: 'outside.jsonl', text: outside }),
      new DataError(
        'outside.jsonl:2: the question 三。 was used before, at facts.jsonl:1.\n' +
          '  Spaces, capitals and punctuation at the end make no difference. Reword or delete one of them.',
      ),
    );
  });

  test('data build: refuses an outside question of another topic', () => {
    const outside = toLines([{ topic: 'science', prompt: '外' }]);
    assert.throws(
      () => parseSource({ path: 'facts.jsonl', text: toLines([FACT]) }, { path: 'outside.jsonl', text: outside }),
      new DataError(
        'outside.jsonl:1: "topic" must be "outside", got "science".\n' +
          '  Every line is one JSON object with the keys topic, prompt.',
      ),
    );
  });
});

describe('data build command', () => {
  async function run(...args: string[]): Promise<void> {
    const program = new Command();
    registerData(program);
    await program.parseAsync(['data', 'build', ...args], { from: 'user' });
  }

  async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'loom-data-'));
    try {
      await body(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  /** Runs the command and returns what it printed to stdout. */
  async function outputOf(...args: string[]): Promise<string> {
    const original = process.stdout.write;
    let printed = '';
    process.stdout.write = (chunk: string | Uint8Array) => {
      printed += String(chunk);
      return true;
    };
    try {
      await run(...args);
    } finally {
      process.stdout.write = original;
    }
    return printed;
  }

  test('data build: writes three files and prints their rows as JSON', () =>
    withFolder(async (folder) => {
      const facts = join(folder, 'facts.jsonl');
      writeFileSync(facts, toLines([FACT, { ...FACT, id: 'b', answer: '乙。', wordings: ['四', '五', '六', '七'] }]));
      writeFileSync(join(folder, 'outside.jsonl'), toLines([OUTSIDE]));
      const out = join(folder, 'new');
      const printed = JSON.parse(await outputOf('--facts', facts, '--out', out, '--json')) as unknown;
      // Fact a (first): 1 train, 1 val, 1 test; fact b (second): 3 train, 1 test; the outside question trains.
      assert.deepEqual(printed, {
        facts: 2,
        outside: 1,
        seed: 1,
        files: [
          { path: join(out, 'train.jsonl'), rows: 5 },
          { path: join(out, 'val.jsonl'), rows: 1 },
          { path: join(out, 'test.jsonl'), rows: 2 },
        ],
      });
      assert.deepEqual(readdirSync(out).sort(), ['test.jsonl', 'train.jsonl', 'val.jsonl']);
      const rows = readFileSync(join(out, 'val.jsonl'), 'utf8');
      assert.match(rows, /^\{"prompt":"[一二三]","completion":"甲。","topic":"science"\}\n$/);
    }));

  test('data build: says which file is missing and how to name another', () =>
    assert.rejects(
      run('--facts', 'nowhere/facts.jsonl'),
      new DataError(
        'nowhere/facts.jsonl cannot be read: there is no such file.\n  Expected a UTF-8 file; choose it with --facts FILE.',
      ),
    ));

  test('data build: refuses a file that is not UTF-8', () =>
    withFolder(async (folder) => {
      const facts = join(folder, 'facts.jsonl');
      writeFileSync(facts, Buffer.from([0xc4, 0xe3, 0xba, 0xc3]));
      await assert.rejects(
        run('--facts', facts),
        new DataError(
          `${facts} cannot be read: it is not UTF-8.\n  Expected a UTF-8 file; choose it with --facts FILE.`,
        ),
      );
    }));

  test('data build: refuses a seed that is no whole number', () =>
    assert.rejects(
      run('--seed', '1.5'),
      new ConfigError(
        '--seed 1.5 is not a seed.\n  Expected a whole number from 0 to 2147483647, for example --seed 1.',
      ),
    ));

  test('data build: leaves nothing half-written when a file cannot be replaced', () =>
    withFolder(async (folder) => {
      mkdirSync(join(folder, 'train.jsonl'));
      await assert.rejects(run('--facts', join(repoRoot, 'data/facts.jsonl'), '--out', folder), (error) => {
        assert.ok(error instanceof FileError);
        const [what, fix] = error.message.split('\n');
        assert.ok(what.startsWith(`The data files cannot be written to ${folder}: E`), what);
        assert.equal(fix, '  Choose a folder that can be written to with --out DIR, or make room.');
        return true;
      });
      assert.deepEqual(readdirSync(folder), ['train.jsonl']);
    }));
});
