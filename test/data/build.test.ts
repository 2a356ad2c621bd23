// The data set and its builder: what ships is what the source gives, the splits share nothing, bad sources are named.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { Command } from 'commander';
import { registerData } from '../../src/commands/data.js';
import { buildSplits, formatRows, type Splits } from '../../src/data/build.js';
import {
  DIALOGUE_TOPIC,
  type Fact,
  parseSource,
  questionKey,
  type Source,
  SPLIT_NAMES,
} from '../../src/data/build-source.js';
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

function wordingsOf({ wordings, val, test }: Fact): string[] {
  return [...wordings, ...val, ...test];
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

  test('shipped data: teaches at least 230 facts, each in 11 wordings or more, with answers of at most 60 characters', () => {
    assert.ok(source.facts.length >= 230, `${source.facts.length} facts`);
    assert.ok(source.outside.length >= 1500, `${source.outside.length} questions outside`);
    for (const { id, answer, wordings } of source.facts) {
      assert.ok(new Set(wordings.map(questionKey)).size >= 11, `${id} has ${wordings.length} wordings for training`);
      assert.ok([...answer].length <= 60, `${id} answers in ${[...answer].length} characters`);
    }
  });

  test('shipped data: gives every fact an answer of its own', () => {
    assert.equal(new Set(source.facts.map(({ answer }) => answer)).size, source.facts.length);
  });

  test('shipped data: has no space in a question, since prompts lose their spaces', () => {
    const questions = [...source.facts.flatMap(wordingsOf), ...source.outside.map(({ prompt }) => prompt)];
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
    assert.equal(train.size + val.size + test.size, source.facts.flatMap(wordingsOf).length + source.outside.length);
  });

  test('shipped data: asks every fact once in test, at least every third one in validation', () => {
    for (const { id, test } of source.facts) assert.equal(test.length, 1, id);
    assert.ok(source.facts.filter(({ val }) => val.length === 1).length >= source.facts.length / 3);
  });

  test('shipped data: puts no question into training that is one character away from an outside question of test', () => {
    const bare = (text: string): string => text.replace(/[\p{P}\p{S}\s]/gu, '');
    const outside = (name: string): string[] =>
      source.outside.filter(({ split }) => split === name).map(({ prompt }) => bare(prompt));
    const held = outside('test').filter((text) => /\p{Script=Han}/u.test(text) && !/\d/u.test(text));
    const near = outside('train').flatMap((text) => held.filter((other) => isOneEditAway(text, other)));
    assert.ok(near.length <= KNOWN_NEAR, `${near.length}: ${near.join(' ')}`);
  });

  test('data build: puts each question into the split that the source names', () => {
    const expected = SPLIT_NAMES.map((name) =>
      [
        ...source.facts.flatMap((fact) => fact[name === 'train' ? 'wordings' : name]),
        ...source.outside.filter(({ split }) => split === name).map(({ prompt }) => prompt),
      ].sort(),
    );
    const built = SPLIT_NAMES.map((name) =>
      splits[name]
        .map(({ prompt }) => prompt)
        .filter((prompt) => !prompt.includes('\n'))
        .sort(),
    );
    assert.deepEqual(built, expected);
  });

  test('data build: writes dialogues in the template, with the taught answer to both turns', () => {
    const answers = new Map(
      source.facts.flatMap((fact) => wordingsOf(fact).map((text) => [text, fact.answer] as const)),
    );
    for (const { prompt } of source.outside) answers.set(prompt, REFUSAL);
    const dialogues = SPLIT_NAMES.map((name) => splits[name].filter(({ prompt }) => prompt.includes('\n')));
    for (const { prompt, completion } of dialogues.flat()) {
      const [, first, firstAnswer, second] = /^(.*)\n助手:(.*)\n用户:(.*)$/u.exec(prompt) ?? [];
      assert.equal(firstAnswer, answers.get(first), prompt);
      assert.equal(completion, answers.get(second), prompt);
    }
    const counts = dialogues.map((rows) => {
      const refused = rows.filter(({ completion }) => completion === REFUSAL).length;
      return [rows.length - refused, refused];
    });
    // For every TAUGHT_DIALOGUES facts one that ends in a taught question, for every REFUSED_DIALOGUES one that ends outside.
    const share = (factsEach: number): number => Math.floor(source.facts.length / factsEach);
    assert.deepEqual(
      counts,
      SPLIT_NAMES.map((_, k) => [share(TAUGHT_DIALOGUES[k]), share(REFUSED_DIALOGUES[k])]),
    );
  });

  test('data build: ends a dialogue of training in each answer once', () => {
    const answers = splits.train.filter(({ topic }) => topic === DIALOGUE_TOPIC).map(({ completion }) => completion);
    assert.equal(new Set(answers).size, source.facts.length);
  });
});

/** Facts for each dialogue of train, val and test, by what its last question is. */
const TAUGHT_DIALOGUES = [1, 24, 8];
const REFUSED_DIALOGUES = [4, 48, 24];
/** Pairs of the first edition of the data that differ in one character, kept so that its test stays what it was. */
const KNOWN_NEAR = 2;

/** Whether one inserted, deleted or replaced character makes one text out of the other. */
function isOneEditAway(a: string, b: string): boolean {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  if (long.length - short.length > 1) return false;
  let same = 0;
  while (same < short.length && short[same] === long[same]) same++;
  return long.slice(same + 1) === short.slice(long.length === short.length ? same + 1 : same);
}

describe('splits of a source that names none', () => {
  const facts = Array.from({ length: 40 }, (_, k) => ({
    id: `f${k}`,
    topic: 'science',
    answer: `答${k}。`,
    wordings: ['甲', '乙', '丙', '丁'].map((sign) => `${sign}${k}`),
    val: [],
    test: [],
  }));
  const outside = Array.from({ length: 400 }, (_, k) => ({ prompt: `外${k}` }));
  const SINGLE = (splits: Splits, name: (typeof SPLIT_NAMES)[number]): string[] =>
    splits[name].filter(({ prompt }) => !prompt.includes('\n')).map(({ prompt }) => prompt);

  test('data build: gives one wording of a fact to test, one of about every second to val, the rest to training', () => {
    const splits = buildSplits({ facts, outside: [] }, SEED);
    const counts = facts.map(({ wordings }) =>
      SPLIT_NAMES.map((name) => SINGLE(splits, name).filter((prompt) => wordings.includes(prompt)).length),
    );
    const withVal = counts.filter(([, val]) => val === 1).length;
    for (const [train, val, inTest] of counts) assert.deepEqual([train, inTest], [3 - val, 1]);
    // 40 coins of a fair hash: outside 11 to 29 once in 300 seeds.
    assert.ok(withVal >= 11 && withVal <= 29, `${withVal} of 40 facts`);
  });

  test('data build: gives about 15 % of the outside questions to test and 5 % to validation', () => {
    const splits = buildSplits({ facts, outside }, SEED);
    const [val, inTest] = (['val', 'test'] as const).map(
      (name) => SINGLE(splits, name).filter((prompt) => prompt.startsWith('外')).length,
    );
    // 400 draws: 60 and 20 expected, with standard deviations of 7.1 and 4.4.
    assert.ok(Math.abs(inTest - 60) < 22 && Math.abs(val - 20) < 13, `${inTest} and ${val} of 400`);
  });

  test('data build: moves no question to another split when facts, wordings and outside questions are added', () => {
    const before = buildSplits({ facts: facts.slice(0, 20), outside: outside.slice(0, 200) }, SEED);
    const after = buildSplits({ facts, outside }, SEED);
    for (const name of SPLIT_NAMES) {
      const now = new Set(SINGLE(after, name));
      assert.deepEqual(
        SINGLE(before, name).filter((prompt) => !now.has(prompt)),
        [],
      );
    }
  });

  test('data build: another seed splits otherwise', () => {
    const test1 = new Set(SINGLE(buildSplits({ facts, outside }, SEED), 'test'));
    const kept = SINGLE(buildSplits({ facts, outside }, SEED + 1), 'test').filter((prompt) => test1.has(prompt)).length;
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
      '  Every line is one JSON object with the keys id, topic, answer, wordings and, if wanted, val, test. Mend the line or delete it.',
  },
  {
    what: 'an unknown key',
    lines: [{ ...FACT, anwser: '乙。' }],
    message:
      'facts.jsonl:1: unknown key "anwser".\n' +
      '  Every line is one JSON object with the keys id, topic, answer, wordings and, if wanted, val, test.',
  },
  {
    what: 'a missing answer',
    lines: ['', { id: 'a', topic: 'science', wordings: FACT.wordings }],
    message:
      'facts.jsonl:2: "answer" must be a text that isn\'t empty, got nothing.\n' +
      '  Every line is one JSON object with the keys id, topic, answer, wordings and, if wanted, val, test.',
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
      '  Every line is one JSON object with the keys id, topic, answer, wordings and, if wanted, val, test.',
  },
  {
    what: 'too few wordings',
    lines: [{ ...FACT, wordings: ['一', '二'] }],
    message:
      'facts.jsonl:1: 2 of at least 3 wordings.\n' +
      '  One goes to test, one to validation, the rest to training; 8 or more teach well. Add some.',
  },
  {
    what: 'no wording left for training',
    lines: [{ ...FACT, wordings: [], val: ['一'], test: ['二', '三'] }],
    message:
      'facts.jsonl:1: no wording for training.\n' +
      '  One goes to test, one to validation, the rest to training; 8 or more teach well. Add some.',
  },
  {
    what: 'a test wording that training asks too',
    lines: [{ ...FACT, test: ['二。'] }],
    message:
      'facts.jsonl:1: the question 二。 was used before, at facts.jsonl:1.\n' +
      '  Spaces, capitals and punctuation at the end make no difference. Reword or delete one of them.',
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
      '  Every line is one JSON object with the keys id, topic, answer, wordings and, if wanted, val, test. Write at least one.',
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
    assert.deepEqual(source, {
      facts: [{ ...fact, val: [], test: [] }],
      outside: [{ prompt: '外', split: undefined }],
    });
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

  test('data build: refuses an outside question for a split that does not exist', () => {
    const outside = toLines([{ ...OUTSIDE, split: 'exam' }]);
    assert.throws(
      () => parseSource({ path: 'facts.jsonl', text: toLines([FACT]) }, { path: 'outside.jsonl', text: outside }),
      new DataError(
        'outside.jsonl:1: "split" must be train, val, test or left out, got "exam".\n' +
          '  Every line is one JSON object with the keys topic, prompt and, if wanted, split.',
      ),
    );
  });

  test('data build: refuses an outside question of another topic', () => {
    const outside = toLines([{ topic: 'science', prompt: '外' }]);
    assert.throws(
      () => parseSource({ path: 'facts.jsonl', text: toLines([FACT]) }, { path: 'outside.jsonl', text: outside }),
      new DataError(
        'outside.jsonl:1: "topic" must be "outside", got "science".\n' +
          '  Every line is one JSON object with the keys topic, prompt and, if wanted, split.',
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
      // Fact a: 2 train, 1 test; fact b: 2 train, 1 val, 1 test; the outside question trains. Two dialogues in training;
      // val and test, and dialogues that end outside, need more facts.
      assert.deepEqual(printed, {
        facts: 2,
        outside: 1,
        seed: 1,
        files: [
          { path: join(out, 'train.jsonl'), rows: 7 },
          { path: join(out, 'val.jsonl'), rows: 1 },
          { path: join(out, 'test.jsonl'), rows: 2 },
        ],
      });
      assert.deepEqual(readdirSync(out).sort(), ['test.jsonl', 'train.jsonl', 'val.jsonl']);
      const rows = readFileSync(join(out, 'val.jsonl'), 'utf8');
      assert.match(rows, /^\{"prompt":"[四五六七]","completion":"乙。","topic":"science"\}\n$/);
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
