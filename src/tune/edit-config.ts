// Puts values into the text of a configuration and leaves everything else as it is: comments, order, spacing, line ends.

import { parseYaml } from '../config/yaml.js';
import { ConfigError } from '../errors.js';

/** Values of keys of the `training` section, e.g. `{ threads: 2 }`. */
export type TrainingValues = Readonly<Record<string, number>>;

/** The text with these values. `source` names it in errors. Throws ConfigError if they can't be put in without touching more. */
export function editTraining(text: string, values: TrainingValues, source: string): string {
  const before = parseYaml(text, source).values;
  const wanted = { ...before, training: { ...(before.training as object | null), ...values } };
  try {
    const edited = Object.entries(values).reduce((part, [key, value]) => setKey(part, key, value, source), text);
    if (sorted(parseYaml(edited, source).values) === sorted(wanted)) return edited;
  } catch (cause) {
    // What came out is no YAML: as wrong as other values.
    if (!(cause instanceof ConfigError)) throw cause;
  }
  throw cannotEdit(values, source);
}

function setKey(text: string, key: string, value: number, source: string): string {
  const { values, lines: lineOf } = parseYaml(text, source);
  const lines = text === '' ? [] : text.split(/(?<=\n)/);
  const at = lineOf.get(`training.${key}`);
  if (at !== undefined) {
    lines[at - 1] = replaceValue(lines[at - 1], key, value);
    return lines.join('');
  }
  const end = text.includes('\r\n') ? '\r\n' : '\n';
  const last = lines.at(-1);
  if (last !== undefined && !last.endsWith('\n')) lines[lines.length - 1] = last + end;
  if (!('training' in values)) return `${lines.join('')}training:${end}  ${key}: ${value}${end}`;

  // After the last key of the section, indented as it is; right below the name of a section without keys.
  const inSection = [...lineOf].filter(([path]) => path.startsWith('training.')).map(([, line]) => line);
  const after = inSection.length > 0 ? Math.max(...inSection) : (lineOf.get('training') ?? 1);
  const indent = inSection.length > 0 ? (/^\s*/.exec(lines[after - 1])?.[0] ?? '') : '  ';
  lines.splice(after, 0, `${indent}${key}: ${value}${end}`);
  return lines.join('');
}

/** In a line such as `  threads: auto  # comment`, or `training: { threads: auto, seed: 1 }`. */
function replaceValue(line: string, key: string, value: number): string {
  return line.replace(
    new RegExp(`((?:^|[\\s{,])(["']?)${key}\\2[ \\t]*:)([ \\t]*)("[^"]*"|'[^']*'|[^\\s,{}#]*)`),
    (_, name: string, _quote: string, space: string) => `${name}${space || ' '}${value}`,
  );
}

/** As text in which the order of keys doesn't matter. */
function sorted(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

function cannotEdit(values: TrainingValues, source: string): ConfigError {
  const lines = Object.entries(values).map(([key, value]) => `    ${key}: ${value}`);
  return new ConfigError(
    `${source} is written in a way that can't be edited without touching more than these values.\n` +
      `  Expected one \`key: value\` a line below \`training:\`. Put them in by hand:\n  training:\n${lines.join('\n')}`,
  );
}
