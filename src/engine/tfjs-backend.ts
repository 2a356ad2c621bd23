// Loads TensorFlow.js with one of its backends, and finds out which of them this machine has.
// A thread has one backend for its whole life. Nothing is loaded before somebody asks: the library takes half a second.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import util from 'node:util';
import { EngineError } from '../errors.js';
import { TFJS_BACKENDS, type Tf, type TfjsBackend } from './tfjs-types.js';

/** What each backend comes in, beside @tensorflow/tfjs. */
const PACKAGES: Record<TfjsBackend, string> = {
  tensorflow: '@tensorflow/tfjs-node',
  wasm: '@tensorflow/tfjs-backend-wasm',
  cpu: '@tensorflow/tfjs',
};

const ADVICE: Record<TfjsBackend, string> = {
  tensorflow:
    'Install it where its library can be downloaded: npm install --no-save @tensorflow/tfjs-node@4.22.0; see README for other ways.',
  wasm: 'Install the packages: npm run setup.',
  cpu: 'Install the packages: npm run setup.',
};

const packages = createRequire(import.meta.url);
let loaded: { readonly backend: TfjsBackend; readonly tf: Tf } | null = null;

/**
 * The library over this backend. To be called on the main thread before any worker starts: TensorFlow reads its settings
 * from the process's environment when it is first loaded, and its addon is unloaded with the last thread that holds it.
 * Throws EngineError when the backend can't be had, or when this thread has another one already.
 */
export async function loadTfjs(backend: TfjsBackend): Promise<Tf> {
  if (loaded) return requireTfjs(backend);
  try {
    loaded = { backend, tf: await load(backend) };
  } catch (error) {
    throw unavailable(backend, firstLine(error), { cause: error });
  }
  return loaded.tf;
}

/** The library that `loadTfjs` has loaded in this thread. */
export function requireTfjs(backend: TfjsBackend): Tf {
  if (loaded?.backend === backend) return loaded.tf;
  throw new EngineError(
    `the tfjs backend ${backend} can't be used here: ${loaded ? `this thread uses ${loaded.backend}` : 'it was not loaded'}.\n` +
      '  A process uses one backend from start to end. Set tfjs.backend in config.yaml to one of them, and start again.',
  );
}

export type Availability = { readonly isThere: true; readonly detail: string } | Absence;
export interface Absence {
  readonly isThere: false;
  readonly reason: string;
  readonly advice: string;
}

/**
 * Whether the backend can be used, without loading it here. For wasm and cpu: whether the packages are installed.
 * TensorFlow's native library is tried in a process of its own (about a second), since it may end the process that loads it:
 * a CPU without AVX, a library for another system.
 */
export function examineBackend(backend: TfjsBackend): Availability {
  const missing = [...new Set([PACKAGES[backend], '@tensorflow/tfjs'])].find((name) => !isInstalled(name));
  if (missing) return absence(backend, `${missing} is not installed`);
  if (backend !== 'tensorflow')
    return { isThere: true, detail: `${PACKAGES[backend]} ${versionOf(PACKAGES[backend])}` };
  const { version, problem } = probe();
  if (problem !== null) return absence(backend, problem);
  return { isThere: true, detail: `${PACKAGES[backend]} ${versionOf(PACKAGES[backend])} with TensorFlow ${version}` };
}

/** The fastest backend that is there, or the one asked for; EngineError with the reasons when it can't be had. */
export function chooseBackend(choice: TfjsBackend | 'auto'): TfjsBackend {
  const missing: string[] = [];
  for (const backend of choice === 'auto' ? TFJS_BACKENDS : [choice]) {
    const found = examineBackend(backend);
    if (found.isThere) return backend;
    if (choice !== 'auto') throw unavailable(backend, found.reason);
    missing.push(`${backend}: ${found.reason}`);
  }
  throw new EngineError(
    `none of the TensorFlow.js backends can be used.\n${missing.map((line) => `  ${line}.\n`).join('')}  ${ADVICE.wasm}`,
  );
}

async function load(backend: TfjsBackend): Promise<Tf> {
  if (backend === 'tensorflow') return loadTfjsNode();
  const tf = packages('@tensorflow/tfjs') as Tf;
  // Without it the library tells every process on stderr that tfjs-node would be faster. It also checks less.
  tf.enableProdMode();
  if (backend === 'wasm') packages(PACKAGES.wasm);
  const removeNewListeners = rememberListeners();
  try {
    if (!(await tf.setBackend(backend))) throw new Error('its backend did not start');
  } finally {
    removeNewListeners();
  }
  return tf;
}

/**
 * The wasm backend throws every uncaught error and rejection once more, from listeners of its own: the process would end with
 * another code than ours, or where it would not have ended. Returns what removes the listeners added since.
 */
function rememberListeners(): () => void {
  const events = ['uncaughtException', 'unhandledRejection'];
  const before = events.map((event) => process.listeners(event as NodeJS.Signals));
  return () => {
    events.forEach((event, i) => {
      for (const listener of process.listeners(event as NodeJS.Signals)) {
        if (!before[i].includes(listener)) process.removeListener(event, listener);
      }
    });
  };
}

/** Must be told how many threads to use before it is loaded for the first time; it never asks again. */
function loadTfjsNode(): Tf {
  // The workers are the parallelism, and with one thread each TensorFlow adds numbers up in one order.
  process.env.TF_NUM_INTRAOP_THREADS = '1';
  process.env.TF_NUM_INTEROP_THREADS = '1';
  // TensorFlow greets on stderr, across the dashboard. 2: errors alone.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  // tfjs-node 4.22 calls it; Node 22 warns of it, Node 23 has removed it; fixed upstream, but not released (tensorflow/tfjs pull
  // request 8425).
  const old = util as { isNullOrUndefined?: (value: unknown) => boolean };
  old.isNullOrUndefined = (value) => value === null || value === undefined;
  const tf = packages(PACKAGES.tensorflow) as Tf;
  if (tf.getBackend() !== 'tensorflow') throw new Error(`it started the backend ${tf.getBackend()} instead`);
  tf.enableProdMode();
  return tf;
}

/** Loads tfjs-node in a child process, as the trainer would, and multiplies two matrices. */
function probe(): { version: string; problem: string | null } {
  const program = `
    import { loadTfjs } from ${JSON.stringify(import.meta.url)};
    try {
      const tf = await loadTfjs('tensorflow');
      const product = tf.matMul(tf.tensor2d([[2, 3]]), tf.tensor2d([[5], [7]])).dataSync()[0];
      const problem = product === 31 ? null : '2 * 5 + 3 * 7 gave ' + product;
      console.log(JSON.stringify({ version: String(tf.backend().binding?.TF_Version), problem }));
    } catch (error) {
      console.log(JSON.stringify({ version: '', problem: String(error.cause?.message ?? error.message).split('\\n')[0] }));
    }`;
  const { status, signal, stdout, error } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    timeout: PROBE_TIMEOUT_MS,
  });
  const answer = stdout?.trim().split('\n').at(-1);
  if (status === 0 && answer) return JSON.parse(answer);
  const how = error?.message ?? (signal ? `was ended by ${signal}` : `ended with code ${status}`);
  return { version: '', problem: `a process that tried to load it ${how}` };
}

/** A cold start from a slow disk takes seconds; a library that hangs must not hang us. */
const PROBE_TIMEOUT_MS = 60_000;

function unavailable(backend: TfjsBackend, reason: string, options?: ErrorOptions): EngineError {
  const others = TFJS_BACKENDS.filter((other) => other !== backend).join(' or ');
  return new EngineError(
    `the tfjs backend ${backend} can't be used: ${reason}.\n` +
      `  ${ADVICE[backend]}\n` +
      `  Or use another: tfjs.backend: auto, ${others} in config.yaml.`,
    options,
  );
}

function absence(backend: TfjsBackend, reason: string): Absence {
  return { isThere: false, reason, advice: ADVICE[backend] };
}

function isInstalled(name: string): boolean {
  try {
    packages.resolve(name);
    return true;
  } catch {
    return false;
  }
}

function versionOf(name: string): string {
  return String((packages(`${name}/package.json`) as { version: string }).version);
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0];
}
