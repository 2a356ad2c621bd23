// config.yaml + --set + flags -> one frozen Config, and back to plain YAML values for checkpoints.
// The only place that translates between snake_case (YAML) and camelCase (code).

import { ConfigError } from '../errors.js';
import type { Config } from './config.js';
import { isSectionName, LEAVES, SECTIONS, TOP_LEVEL, type YamlConfig } from './keys.js';
import { readConfigText } from './read.js';
import { type Problem, throwIfAny, unknownKeyProblem, validate } from './validate.js';
import { describeValue, isMapping, parseScalar, parseYaml } from './yaml.js';

export const DEFAULT_CONFIG_PATH = 'config.yaml';

/** Flags of the command line that stand for a key; text or numbers, as they come. */
export type ConfigFlags = Partial<Record<keyof typeof FLAG_PATHS, string | number>>;

const FLAG_PATHS = {
  threads: 'training.threads',
  maxSteps: 'training.max_steps',
  saveDir: 'training.save_dir',
  seed: 'training.seed',
  engine: 'engine',
  precision: 'precision',
} as const;

export interface LoadConfigOptions {
  /** Must exist. Without it `config.yaml` in the current directory is read if there is one, else all keys have their defaults. */
  readonly configPath?: string;
  /** Each `section.key=value` as given to --set; the value is read as YAML would. */
  readonly sets?: readonly string[];
  readonly flags?: ConfigFlags;
}

/** Flags win over --set, --set over the file, the file over the defaults. Paths stay as written. Throws ConfigError. */
export function loadConfig(options: LoadConfigOptions = {}): Config {
  const layers = startLayers(options.configPath);
  for (const assignment of options.sets ?? []) applySet(layers, assignment);
  for (const [name, path] of Object.entries(FLAG_PATHS)) {
    const value = options.flags?.[name as keyof ConfigFlags];
    if (value !== undefined) put(layers, path, readText(path, String(value)), flagName(name));
  }
  throwIfAny(layers.problems);
  return freeze(camelKeys(validate(layers.values, layers.origins, layers.source)));
}

/** A configuration out of a checkpoint: same keys as config.yaml, missing ones get their defaults. `source` names it in errors. */
export function configFromObject(values: unknown, source: string): Config {
  if (!isMapping(values)) {
    throw new ConfigError(
      `${source}: expected an object with the sections of a configuration, got ${describeValue(values)}.\n` +
        '  The file is damaged, or not ours.',
    );
  }
  return freeze(camelKeys(validate(values, new Map(), source)));
}

/** The complete configuration in the spelling of config.yaml; `configFromObject` turns it back. */
export function configToYamlObject(config: Config): YamlConfig {
  const from = config as unknown as Record<string, Record<string, unknown>>;
  const sections = Object.entries(SECTIONS).map(([section, keys]) => [
    section,
    Object.fromEntries(Object.keys(keys).map((key) => [key, from[section][camelCase(key)]])),
  ]);
  const others = Object.keys(TOP_LEVEL).map((key) => [key, from[camelCase(key)]]);
  return Object.fromEntries([...sections, ...others]) as YamlConfig;
}

/** Values in YAML spelling with the place each was set, and what already went wrong. */
interface Layers {
  readonly source: string;
  readonly values: Record<string, unknown>;
  readonly origins: Map<string, string>;
  readonly problems: Problem[];
}

function startLayers(configPath: string | undefined): Layers {
  const source = configPath ?? DEFAULT_CONFIG_PATH;
  const text = readConfigText(source, configPath !== undefined);
  const { values, lines } = parseYaml(text, source);
  const origins = new Map([...lines].map(([path, line]) => [path, `${source} line ${line}`]));
  return { source, values: withoutEmptySections(values), origins, problems: [] };
}

/** A section whose keys are all commented out is `null` in YAML: it means the defaults. Copies, so that layers may be put on top. */
function withoutEmptySections(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([key, value]) => !(value === null && isSectionName(key)))
      .map(([key, value]) => [key, isMapping(value) ? { ...value } : value]),
  );
}

function applySet(layers: Layers, assignment: string): void {
  const equals = assignment.indexOf('=');
  const where = `--set ${assignment}`;
  if (equals < 0) {
    layers.problems.push({
      where,
      what: 'the value is missing.',
      fix: () => 'Write --set section.key=value, e.g. --set training.lr=1e-3.',
    });
    return;
  }
  const path = assignment.slice(0, equals).trim();
  if (isSectionName(path)) {
    const keys = Object.keys(SECTIONS[path]).join(', ');
    layers.problems.push({
      where,
      what: `${path} is a section.`,
      fix: () => `Name one of its keys (${keys}), e.g. --set ${path}.${keys.split(',')[0]}=...`,
    });
  } else if (!LEAVES.has(path)) {
    layers.problems.push(unknownKeyProblem(path, where));
  } else {
    put(layers, path, readScalar(path, assignment.slice(equals + 1)), where);
  }
}

function put({ values, origins }: Layers, path: string, value: unknown, where: string): void {
  const [section, key] = path.split('.');
  origins.set(path, where);
  if (key === undefined) {
    values[section] = value;
    return;
  }
  // A section that isn't a mapping stays as it is, for the validation to refuse.
  values[section] ??= {};
  const target = values[section];
  if (isMapping(target)) target[key] = value;
}

/** `--set`: as YAML reads it, except that a folder named 2024 is text where text is wanted. */
function readScalar(path: string, text: string): unknown {
  const value = parseScalar(text);
  const key = LEAVES.get(path);
  return !key?.accepts(value) && key?.accepts(text) ? text : value;
}

/** A flag's argument is text where the key takes text. */
function readText(path: string, text: string): unknown {
  return LEAVES.get(path)?.accepts(text) ? text : parseScalar(text);
}

function flagName(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;
type CamelKeys<T> = T extends object ? { [K in keyof T as CamelCase<K & string>]: CamelKeys<T[K]> } : T;

function camelCase(key: string): string {
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function camelKeys<T extends object>(values: T): CamelKeys<T> {
  const entries = Object.entries(values).map(([key, value]) => [
    camelCase(key),
    isMapping(value) ? camelKeys(value) : value,
  ]);
  return Object.fromEntries(entries) as CamelKeys<T>;
}

/** The compiler checks here that the translated YAML has every key of Config, with its type. */
function freeze(config: Config): Config {
  for (const section of Object.values(config)) Object.freeze(section);
  return Object.freeze(config);
}
