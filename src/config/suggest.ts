// Which key did she mean? For unknown keys in config.yaml and in --set.

import { isSectionName, LEAVES, SECTIONS, TOP_LEVEL } from './keys.js';

/** What other programs call our keys. Compared without case, dashes and underscores. */
const SYNONYMS: Readonly<Record<string, string>> = {
  learningrate: 'training.lr',
  maxlr: 'training.lr',
  steps: 'training.max_steps',
  maxiters: 'training.max_steps',
  epochs: 'training.max_steps',
  warmup: 'training.warmup_steps',
  workers: 'training.threads',
  numworkers: 'training.threads',
  numthreads: 'training.threads',
  microbatchsize: 'training.micro_batch',
  outdir: 'training.save_dir',
  outputdir: 'training.save_dir',
  patience: 'training.early_stopping_patience',
  clip: 'training.grad_clip',
  maxgradnorm: 'training.grad_clip',
  blocksize: 'model.seq_len',
  contextlength: 'model.seq_len',
  maxseqlen: 'model.seq_len',
  dmodel: 'model.n_embd',
  hiddensize: 'model.n_embd',
  layers: 'model.n_layer',
  heads: 'model.n_head',
  trainfile: 'data.train_path',
  valfile: 'data.val_path',
  dtype: 'precision',
  backend: 'engine',
};

/** One sentence that leads from an unknown dotted path to the right key: the nearest one, or else all that fit there. */
export function suggestKey(path: string): string {
  if (LEAVES.has(path)) {
    const [section, key] = splitPath(path);
    return `Write it as "${key}: ..." below "${section}:", indented by two spaces; dots are for --set.`;
  }
  const nearest = nearestPath(path);
  if (nearest === null) return `Known here: ${knownKeys(path)}.`;
  if (isSectionName(nearest)) return `Did you mean the section "${nearest}"?`;
  const [section, key] = splitPath(nearest);
  const [givenSection, givenKey] = splitPath(path);
  if (section !== givenSection && key === givenKey) {
    return section === ''
      ? `"${key}" belongs at the top level, outside the sections.`
      : `"${key}" belongs to the section "${section}": did you mean ${nearest}?`;
  }
  return `Did you mean ${nearest}?`;
}

/** The known path (or section) closest to `path`, or null when nothing is close. */
export function nearestPath(path: string): string | null {
  const [section, key] = splitPath(path);
  const wanted = normalise(key);
  if (Object.hasOwn(SYNONYMS, wanted)) return SYNONYMS[wanted];
  const candidates = [...LEAVES.keys(), ...(section === '' ? Object.keys(SECTIONS) : [])];
  let best: string | null = null;
  // One typo, or a third of a longer word; further away a suggestion would only mislead.
  let bestScore = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    const [candidateSection, candidateKey] = splitPath(candidate);
    // Half a point decides ties in favour of the section that was written.
    const score = editDistance(wanted, normalise(candidateKey)) + (candidateSection === section ? 0 : 0.5);
    if (score < bestScore) [best, bestScore] = [candidate, score];
  }
  return best;
}

function knownKeys(path: string): string {
  const [section] = splitPath(path);
  const keys = isSectionName(section) ? SECTIONS[section] : { ...SECTIONS, ...TOP_LEVEL };
  return Object.keys(keys).join(', ');
}

function splitPath(path: string): [section: string, key: string] {
  const dot = path.indexOf('.');
  return dot < 0 ? ['', path] : [path.slice(0, dot), path.slice(dot + 1)];
}

function normalise(key: string): string {
  return key.toLowerCase().replace(/[-_ ]/g, '').slice(0, 64);
}

/** Insertions, deletions, replacements and swaps of neighbours: optimal string alignment, Damerau 1964. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    rows[i] = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, replaced);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1);
      }
    }
  }
  return rows[a.length][b.length];
}
