// The written sources of the data set: facts.jsonl and outside.jsonl as text -> checked facts and questions.
// Reads no files. Everything a reader can get wrong in them ends in a DataError that names file, line and reason.

import { DataError } from '../errors.js';

/** One thing the model is taught: an answer and the ways to ask for it. */
export interface Fact {
  readonly id: string;
  readonly topic: string;
  readonly answer: string;
  /** For training; where neither val nor test is given, the builder takes theirs out of these. */
  readonly wordings: readonly string[];
  /** Wordings that only validation asks. */
  readonly val: readonly string[];
  /** Wordings that only the test asks. */
  readonly test: readonly string[];
}

/** A question outside the facts; without a split the builder chooses one. */
export interface OutsideQuestion {
  readonly prompt: string;
  readonly split?: SplitName;
}

export const SPLIT_NAMES = ['train', 'val', 'test'] as const;
export type SplitName = (typeof SPLIT_NAMES)[number];

export interface SourceFile {
  /** As the user gave it; error messages begin with it. */
  readonly path: string;
  readonly text: string;
}

export interface Source {
  readonly facts: readonly Fact[];
  readonly outside: readonly OutsideQuestion[];
}

/** Characters (code points) an answer may have: with its question it stays well inside a context of 128 tokens. */
export const MAX_ANSWER_CHARS = 60;
/** One wording for test, one for validation, at least one for training. */
export const MIN_WORDINGS = 3;
export const OUTSIDE_TOPIC = 'outside';
export const DIALOGUE_TOPIC = 'dialogue';

/**
 * Facts and outside questions in file order; blank lines are skipped.
 * Throws DataError for a line that isn't a JSON object of the expected form, for a repeated id, for a question that was
 * asked before in either file (compared by `questionKey`), and for a file without rows.
 */
export function parseSource(factsFile: SourceFile, outsideFile: SourceFile): Source {
  const asked: Places = new Map();
  const ids: Places = new Map();
  const facts = parseLines(factsFile, FACT_KEYS).map((line) => {
    const fact = readFact(line);
    claim(ids, fact.id, line, `the id "${fact.id}"`, 'Every fact needs an id of its own. Rename one of them.');
    for (const wording of [...fact.wordings, ...fact.val, ...fact.test]) claimQuestion(asked, wording, line);
    return fact;
  });
  const outside = parseLines(outsideFile, OUTSIDE_KEYS).map((line) => {
    const question = readOutside(line);
    claimQuestion(asked, question.prompt, line);
    return question;
  });
  return { facts, outside };
}

/** What makes two questions the same: white space, punctuation at the end and capitals don't count. */
export function questionKey(question: string): string {
  return question
    .replace(/\s/gu, '')
    .replace(/[。？！?!.,，、；;…~～]+$/u, '')
    .toLowerCase();
}

/** Where an id or a question was first seen, by its key. */
type Places = Map<string, string>;

interface Line {
  readonly place: string;
  readonly row: Readonly<Record<string, unknown>>;
  readonly form: string;
}

interface Keys {
  readonly needed: readonly string[];
  readonly optional: readonly string[];
}

const FACT_KEYS: Keys = { needed: ['id', 'topic', 'answer', 'wordings'], optional: ['val', 'test'] };
const OUTSIDE_KEYS: Keys = { needed: ['topic', 'prompt'], optional: ['split'] };

function parseLines({ path, text }: SourceFile, { needed, optional }: Keys): Line[] {
  const form = `Every line is one JSON object with the keys ${needed.join(', ')} and, if wanted, ${optional.join(', ')}.`;
  const keys = [...needed, ...optional];
  const lines = text.split(/\r?\n/);
  const parsed = lines.flatMap((line, index) =>
    line.trim() === '' ? [] : [parseLine(line, `${path}:${index + 1}`, keys, form)],
  );
  if (parsed.length === 0) throw new DataError(`${path} has no rows.\n  ${form} Write at least one.`);
  return parsed;
}

function parseLine(line: string, place: string, keys: readonly string[], form: string): Line {
  const row = parseObject(line);
  if (row === undefined) {
    throw problem(place, `this is not a JSON object: ${shorten(line)}`, `${form} Mend the line or delete it.`);
  }
  const unknown = Object.keys(row).find((key) => !keys.includes(key));
  if (unknown !== undefined) throw problem(place, `unknown key "${unknown}".`, form);
  return { place, row, form };
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function readFact(line: Line): Fact {
  const id = readText(line, 'id');
  const topic = readText(line, 'topic');
  if (topic === OUTSIDE_TOPIC || topic === DIALOGUE_TOPIC) {
    throw problem(
      line.place,
      `the topic "${topic}" is taken.`,
      'The builder gives it to rows of its own. Use another.',
    );
  }
  const answer = readText(line, 'answer');
  const answerChars = [...answer].length;
  if (answerChars > MAX_ANSWER_CHARS) {
    const fix = `At most ${MAX_ANSWER_CHARS} fit, together with the question, into the context. Shorten it.`;
    throw problem(line.place, `the answer has ${answerChars} characters: ${shorten(answer)}`, fix);
  }
  checkPlain(line.place, 'answer', answer);
  const [wordings, val, test] = ['wordings', 'val', 'test'].map((name) => readWordings(line, name));
  const count = wordings.length + val.length + test.length;
  if (wordings.length === 0 || count < MIN_WORDINGS) {
    const fix = 'One goes to test, one to validation, the rest to training; 8 or more teach well. Add some.';
    const what = wordings.length === 0 ? 'no wording for training.' : `${count} of at least ${MIN_WORDINGS} wordings.`;
    throw problem(line.place, what, fix);
  }
  return { id, topic, answer, wordings, val, test };
}

function readWordings(line: Line, name: string): string[] {
  const texts = line.row[name] ?? (name === 'wordings' ? undefined : []);
  if (!Array.isArray(texts) || !texts.every(isText)) {
    throw problem(line.place, `"${name}" must be a list of texts, got ${show(texts)}.`, line.form);
  }
  for (const text of texts) checkPlain(line.place, 'wording', text);
  return texts;
}

function readOutside(line: Line): OutsideQuestion {
  const { topic, split } = line.row;
  if (topic !== OUTSIDE_TOPIC) {
    throw problem(line.place, `"topic" must be "${OUTSIDE_TOPIC}", got ${show(topic)}.`, line.form);
  }
  const prompt = readText(line, 'prompt');
  checkPlain(line.place, 'prompt', prompt);
  const name = SPLIT_NAMES.find((known) => known === split);
  if (split !== undefined && name === undefined) {
    throw problem(line.place, `"split" must be ${SPLIT_NAMES.join(', ')} or left out, got ${show(split)}.`, line.form);
  }
  return { prompt, split: name };
}

function readText({ place, row, form }: Line, key: string): string {
  const value = row[key];
  if (!isText(value)) throw problem(place, `"${key}" must be a text that isn't empty, got ${show(value)}.`, form);
  return value;
}

/** The marks of the prompt template would make one turn look like two. */
function checkPlain(place: string, what: string, text: string): void {
  const mark = /[\n\r]|用户[:：]|助手[:：]/u.exec(text)?.[0];
  if (mark === undefined) return;
  const found = /[\n\r]/.test(mark) ? 'a line break' : `"${mark}"`;
  const fix = 'Line breaks, 用户: and 助手: separate the turns of a dialogue. Take them out.';
  throw problem(place, `the ${what} contains ${found}: ${shorten(text)}`, fix);
}

function claimQuestion(asked: Places, question: string, line: Line): void {
  const fix = 'Spaces, capitals and punctuation at the end make no difference. Reword or delete one of them.';
  claim(asked, questionKey(question), line, `the question ${shorten(question)}`, fix);
}

function claim(places: Places, key: string, { place }: Line, what: string, fix: string): void {
  const first = places.get(key);
  if (first !== undefined) throw problem(place, `${what} was used before, at ${first}.`, fix);
  places.set(key, place);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : shorten(JSON.stringify(value));
}

const SHOWN_CHARS = 40;

function shorten(text: string): string {
  const chars = [...text.replace(/[\n\r]/g, '⏎')];
  return chars.length <= SHOWN_CHARS ? chars.join('') : `${chars.slice(0, SHOWN_CHARS).join('')}…`;
}

function problem(place: string, what: string, fix: string): DataError {
  return new DataError(`${place}: ${what}\n  ${fix}`);
}
