// The order of imports as a function: source texts in, violations out. imports.test.ts applies it to the project.

import { dirname, posix } from 'node:path';

export interface SourceFile {
  /** From the package root, e.g. `src/config/load.ts`. */
  readonly path: string;
  readonly text: string;
}

export interface Import {
  readonly specifier: string;
  readonly isTypeOnly: boolean;
}

/** Data and imports flow from left to right: a module imports from levels above its own in this list, never from its own level. */
export const LEVELS: readonly (readonly string[])[] = [
  ['errors', 'random', 'folder', 'addon', 'machine'],
  ['config'],
  ['tokenizer'],
  ['data'],
  ['model'],
  ['engine', 'optim', 'checkpoint'],
  ['parallel', 'sampling', 'export'],
  ['evaluation'],
  ['trainer'],
  ['tune'],
  ['bench'],
  ['ui'],
  ['plot'],
  ['commands'],
  ['cli'],
];

const WORKER_IMPORTS = ['engine', 'parallel', 'optim', 'addon', 'model', 'data', 'errors', 'bench'];

/** Packages that only some files may import. */
const PACKAGE_OWNERS: readonly { readonly pattern: RegExp; readonly owner: RegExp; readonly ownerName: string }[] = [
  {
    pattern: /^piscina(\/|$)/,
    owner: /^(src\/parallel\/pool|workers\/.*)\.ts$/,
    ownerName: 'src/parallel/pool.ts and workers/',
  },
  { pattern: /^@tensorflow\//, owner: /^src\/engine\/tfjs[^/]*\.ts$/, ownerName: 'src/engine/tfjs*.ts' },
  { pattern: /^(ink|react)(-[a-z-]+)?(\/|$)/, owner: /^src\/ui\//, ownerName: 'src/ui/' },
];

/** One line for each import that breaks a rule. */
export function findViolations(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) =>
    findImports(file.text).flatMap((found) => {
      const reason = found.specifier.startsWith('.')
        ? reasonAgainst(file.path, found)
        : packageReason(file.path, found);
      return reason === null ? [] : [`${file.path} imports ${found.specifier}: ${reason}`];
    }),
  );
}

const STATIC = /^[ \t]*(?:import|export)\s+(type\s+)?(?:[^'"`;()]*?\sfrom\s+)?['"]([^'"]+)['"]/gm;
const DYNAMIC = /\bimport\(\s*['"`]([^'"`]+)['"`]\s*\)/g;
/** `typeof import('...')` and `import('...').Type` in type positions count as dynamic imports; write `import type` instead. */
export function findImports(text: string): Import[] {
  const statics = Array.from(text.matchAll(STATIC), ([, type, specifier]) => ({
    specifier,
    isTypeOnly: type !== undefined,
  }));
  const dynamics = Array.from(text.matchAll(DYNAMIC), ([, specifier]) => ({ specifier, isTypeOnly: false }));
  return [...statics, ...dynamics];
}

function reasonAgainst(path: string, { specifier, isTypeOnly }: Import): string | null {
  const target = posix.join(dirname(path), specifier);
  const from = moduleOf(path);
  const to = moduleOf(target);
  if (from === to) return null;
  if (from === 'workers') return WORKER_IMPORTS.includes(to) ? null : `workers may import ${WORKER_IMPORTS.join(', ')}`;
  if (levelOf(from) < 0) return `${from} is in no level of test/structure/rules.ts`;
  if (levelOf(to) < 0) return `${to} is in no level of test/structure/rules.ts`;
  if (from === 'ui') {
    const isEvents = target === 'src/trainer/events.js' && isTypeOnly;
    return isEvents ? null : 'ui imports nothing of ours but trainer/events.js, with import type';
  }
  if (levelOf(to) > levelOf(from)) return `${from} stands left of ${to}`;
  if (levelOf(to) === levelOf(from)) return `${from} and ${to} stand side by side`;
  return null;
}

function packageReason(path: string, { specifier }: Import): string | null {
  const broken = PACKAGE_OWNERS.find(({ pattern, owner }) => pattern.test(specifier) && !owner.test(path));
  return broken === undefined ? null : `only ${broken.ownerName} may import it`;
}

/** `src/config/load.ts` -> config, `src/cli.ts` -> cli, `workers/train.ts` -> workers. */
function moduleOf(path: string): string {
  const [top, name = ''] = path.split('/');
  return top === 'src' ? name.replace(/\.[jt]sx?$/, '') : top;
}

function levelOf(module: string): number {
  return LEVELS.findIndex((level) => level.includes(module));
}
