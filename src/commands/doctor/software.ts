// Findings about what the set-up installs and builds: packages, the native addon, the compiler, TensorFlow.js.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addonPath, addonProblem, loadAddon } from '../../addon/addon.js';
import { chooseIsa } from '../../engine/isa.js';
import { examineBackend } from '../../engine/tfjs-backend.js';
import { TFJS_BACKENDS, type TfjsBackend } from '../../engine/tfjs-types.js';
import type { Finding } from './finding.js';

export function examineSoftware(): Finding[] {
  return [packagesFinding(), addonFinding(), compilerFinding(), ...TFJS_BACKENDS.map(tfjsFinding)];
}

const SETUP = 'npm run setup';
const PACKAGES = ['@huggingface/tokenizers', 'ink', 'piscina'];

function packagesFinding(): Finding {
  const versions = PACKAGES.map((name) => [name, packageVersion(name)]);
  const missing = versions.filter(([, version]) => version === null).map(([name]) => name);
  return {
    name: 'packages',
    status: missing.length > 0 ? 'missing' : 'ok',
    detail:
      missing.length > 0
        ? `not installed: ${missing.join(', ')}`
        : versions.map(([name, version]) => `${name} ${version}`).join(', '),
    fix: `Install them: ${SETUP}`,
    isNeeded: true,
  };
}

function addonFinding(): Finding {
  const name = 'native addon';
  const addon = loadAddon();
  if (addon === null) {
    const fix = `Build it (needs a C compiler): ${SETUP}`;
    return { name, status: 'missing', detail: String(addonProblem()), fix, isNeeded: false };
  }
  const { compiler, variants } = buildRecord();
  const builtBy = compiler === undefined ? '' : `, built by ${compiler}`;
  const detail = `${variants?.join(', ') ?? 'variants unknown'}${builtBy}; this processor runs ${chooseIsa(addon)}`;
  return { name, status: 'ok', detail, isNeeded: false };
}

/** What scripts/build-native.mjs wrote beside the addon. */
function buildRecord(): { compiler?: string; variants?: string[] } {
  try {
    return JSON.parse(readFileSync(join(dirname(addonPath), 'build.json'), 'utf8'));
  } catch {
    return {};
  }
}

function compilerFinding(): Finding {
  const name = 'C compiler';
  const given = process.env.CC?.trim();
  for (const command of given ? [given] : ['cc', 'gcc', 'clang']) {
    const [program, ...args] = command.split(/\s+/);
    const { status, stdout } = spawnSync(program, [...args, '--version'], { encoding: 'utf8' });
    if (status === 0) return { name, status: 'ok', detail: stdout.split('\n')[0], isNeeded: false };
  }
  const install =
    process.platform === 'darwin' ? 'xcode-select --install' : 'sudo apt install gcc libc6-dev make (Debian, Ubuntu)';
  return {
    name,
    status: 'missing',
    detail: given ? `CC is "${given}", which doesn't run` : 'no cc, gcc or clang',
    fix: `Only needed to build the native addon: ${install}`,
    isNeeded: false,
  };
}

/** The backends of the tfjs engine; the project's findings say whether the configured one can be had. */
function tfjsFinding(backend: TfjsBackend): Finding {
  const name = `tfjs ${backend}`;
  const found = examineBackend(backend);
  if (found.isThere) return { name, status: 'ok', detail: found.detail, isNeeded: false };
  const fix = `Only needed by the engine tfjs. ${found.advice}`;
  return { name, status: 'missing', detail: found.reason, fix, isNeeded: false };
}

function packageVersion(name: string): string | null {
  const folder = packageFolder(name);
  return folder === null ? null : String(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version);
}

/** As Node looks for it: in each node_modules upwards from here. (Many packages don't export their package.json.) */
function packageFolder(name: string): string | null {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (folder !== dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    folder = dirname(folder);
  }
  return null;
}
