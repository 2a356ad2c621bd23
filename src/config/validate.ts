// Why a key is refused. Takes plain values in YAML spelling and knows where each came from (file and line, or flag),
// so that the message can say where to mend it. Every mistake is reported, not just the first.

import { ConfigError } from '../errors.js';
import { type Key, listOf, SECTIONS, TOP_LEVEL, type YamlConfig } from './keys.js';
import { suggestKey } from './suggest.js';
import { describeValue, isMapping } from './yaml.js';

/** Dotted path of a key (or section) -> where it was set, e.g. `config.yaml line 12` or `--threads`. */
export type Origins = ReadonlyMap<string, string>;

export interface Problem {
  /** Where the mistake stands. */
  readonly where: string;
  readonly what: string;
  /** What to do about it; made only for the problems that are shown, since looking for the nearest key takes a while. */
  readonly fix: () => string;
}

/** `source` stands in where `origins` has no entry. Throws one ConfigError that lists every problem. */
export function validate(values: Readonly<Record<string, unknown>>, origins: Origins, source: string): YamlConfig {
  throwIfAny(keyProblems(values, (path) => origins.get(path) ?? source));
  const config = withDefaults(values);
  throwIfAny(crossProblems(config, origins, source));
  return config;
}

const MAX_REPORTED = 10;

export function throwIfAny(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  if (problems.length === 1) throw new ConfigError(`${problems[0].where}: ${problems[0].what}\n  ${problems[0].fix()}`);
  const shown = problems
    .slice(0, MAX_REPORTED)
    .map((problem) => `  ${problem.where}: ${problem.what} ${problem.fix()}`);
  const more = problems.length > MAX_REPORTED ? [`  ... and ${problems.length - MAX_REPORTED} more.`] : [];
  throw new ConfigError([`${problems.length} mistakes in the configuration.`, ...shown, ...more].join('\n'));
}

export function unknownKeyProblem(path: string, where: string): Problem {
  return { where, what: `unknown key ${path}.`, fix: () => suggestKey(path) };
}

type Values = Readonly<Record<string, unknown>>;
type WhereOf = (path: string) => string;

/** Each key by itself: sections first, each with what isn't one of its keys last. */
function keyProblems(values: Values, whereOf: WhereOf): Problem[] {
  const sections = Object.entries(SECTIONS).flatMap(([section, keys]) => {
    const given = values[section];
    if (given === undefined) return [];
    return isMapping(given)
      ? [...wrongValues(given, keys, `${section}.`, whereOf), ...unknownKeys(given, keys, `${section}.`, whereOf)]
      : [noSectionProblem(section, given, Object.keys(keys), whereOf(section))];
  });
  const known = { ...SECTIONS, ...TOP_LEVEL };
  return [...sections, ...wrongValues(values, TOP_LEVEL, '', whereOf), ...unknownKeys(values, known, '', whereOf)];
}

function wrongValues(values: Values, keys: Readonly<Record<string, Key>>, prefix: string, whereOf: WhereOf): Problem[] {
  return Object.entries(keys)
    .filter(([name, key]) => values[name] !== undefined && !key.accepts(values[name]))
    .map(([name, key]) => wrongValueProblem(prefix + name, key, values[name], whereOf(prefix + name)));
}

function unknownKeys(values: Values, known: object, prefix: string, whereOf: WhereOf): Problem[] {
  return Object.keys(values)
    .filter((name) => !Object.hasOwn(known, name))
    .map((name) => unknownKeyProblem(prefix + name, whereOf(prefix + name)));
}

function noSectionProblem(section: string, given: unknown, keys: readonly string[], where: string): Problem {
  const what = `${section} is ${describeValue(given)}; expected a section of keys.`;
  const fix = `Put its keys below it, indented by two spaces, each with a colon and a space: ${listOf(keys, 'and')}.`;
  return { where, what, fix: () => fix };
}

function wrongValueProblem(path: string, key: Key, given: unknown, where: string): Problem {
  const fallback = JSON.stringify(key.fallback).replaceAll('"', '');
  return {
    where,
    what: `${path} is ${describeValue(given)}; expected ${key.description}.`,
    fix: () => `${adviceFor(key, given)}The default is ${fallback}.`,
  };
}

/** What keyProblems found nothing wrong with, complete. */
function withDefaults(values: Values): YamlConfig {
  const fill = (given: Values, keys: Readonly<Record<string, Key>>) =>
    Object.entries(keys).map(([name, key]) => [name, given[name] === undefined ? key.fallback : given[name]]);
  const sections = Object.entries(SECTIONS).map(([section, keys]) => [
    section,
    Object.fromEntries(fill((values[section] ?? {}) as Values, keys)),
  ]);
  return Object.fromEntries([...sections, ...fill(values, TOP_LEVEL)]) as YamlConfig;
}

function adviceFor(key: Key, given: unknown): string {
  if (given === null) return 'Give a value, or leave the key out. ';
  if (typeof given === 'number' && key.accepts(String(given))) return 'Put it in quotes. ';
  if (typeof given === 'string' && /^(yes|no|on|off)$/i.test(given))
    return 'Write true for yes and on, false for no and off. ';
  if (typeof given === 'string' && key.accepts(Number(given.replace(/[_ ]/g, '').replace(',', '.')))) {
    return 'Write it without quotes, spaces and underscores, and with a point for the decimals. ';
  }
  return '';
}

/** RoPE and the kernels take any shape; this bounds memory and files: a checkpoint has 8 bytes a parameter in one. */
const MAX_BLOCK_PARAMETERS = 250_000_000;

/** Checks that need several keys; each key by itself is right. */
function crossProblems({ model, training }: YamlConfig, origins: Origins, source: string): Problem[] {
  const problems: Problem[] = [];
  /** Blames the key that was set; of two that on the command line, else the first named. */
  const add = (paths: readonly string[], what: string, fix: string) => {
    const isOfFlags = (path: string) => origins.get(path)?.startsWith('--') ?? false;
    const blamed = paths.find(isOfFlags) ?? paths.find((path) => origins.has(path)) ?? paths[0];
    problems.push({ where: origins.get(blamed) ?? source, what, fix: () => fix });
  };

  const { batch_size, micro_batch } = training;
  if (batch_size % micro_batch !== 0) {
    add(
      ['training.micro_batch', 'training.batch_size'],
      `training.batch_size ${batch_size} cannot be split evenly into micro-batches of ${micro_batch} (training.micro_batch).`,
      `Every micro-batch must hold the same number of samples. Use micro_batch ${listOf(divisors(batch_size), 'or')}, ` +
        `or batch_size ${listOf(multiplesAround(batch_size, micro_batch), 'or')}.`,
    );
  }
  const { n_embd, n_head, n_layer } = model;
  if (n_embd % n_head !== 0 || (n_embd / n_head) % 2 !== 0) {
    const reason =
      n_embd % n_head !== 0
        ? `model.n_embd ${n_embd} cannot be split evenly over ${n_head} heads (model.n_head).`
        : `model.n_embd ${n_embd} over ${n_head} heads (model.n_head) makes heads of ${n_embd / n_head} channels, an odd number.`;
    const fitting = divisors(n_embd).filter((heads) => (n_embd / heads) % 2 === 0);
    add(
      ['model.n_head', 'model.n_embd'],
      reason,
      `All heads have the same, even number of channels (RoPE rotates them in pairs). Use ` +
        (fitting.length > 0 ? `n_head ${listOf(fitting, 'or')}, or ` : '') +
        `n_embd ${listOf(multiplesAround(n_embd, 2 * n_head), 'or')}.`,
    );
  }
  const blockParameters = 12 * n_layer * n_embd * n_embd;
  if (blockParameters > MAX_BLOCK_PARAMETERS) {
    add(
      ['model.n_embd', 'model.n_layer'],
      `model.n_layer ${n_layer} with model.n_embd ${n_embd} makes a model of ${Math.round(blockParameters / 1e6)} million parameters; ` +
        `expected at most ${MAX_BLOCK_PARAMETERS / 1e6} million.`,
      'Use fewer layers or channels.',
    );
  }
  if (training.min_lr > training.lr) {
    add(
      ['training.min_lr', 'training.lr'],
      `training.min_lr ${training.min_lr} is above training.lr ${training.lr}; the learning rate falls from lr to min_lr.`,
      `Use a min_lr from 0 to ${training.lr}.`,
    );
  }
  return problems;
}

/** Ascending. */
function divisors(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
}

/** The nearest multiples of `unit` below and above `n`. */
function multiplesAround(n: number, unit: number): number[] {
  const below = Math.floor(n / unit) * unit;
  return [below, below + unit].filter((multiple) => multiple > 0);
}
