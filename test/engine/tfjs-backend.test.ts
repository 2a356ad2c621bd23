// Finding and loading the backends, with stand-ins for tfjs-node that do what a broken one would do.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createInstallation, type InstallationOptions } from './installation.js';

/** The value of an expression over the functions of tfjs-backend.js, in a process that has the given packages. */
function evaluate(options: InstallationOptions, expression: string): unknown {
  const module = pathToFileURL(createInstallation(options).path('src/engine/tfjs-backend.js')).href;
  const program = `
    import * as backend from ${JSON.stringify(module)};
    const attempt = async (run) => { try { return await run(); } catch (error) { return error.name + ': ' + error.message; } };
    const value = await attempt(async () => ${expression});
    console.log(JSON.stringify(value));`;
  const env = { ...process.env };
  for (const name of ['TF_NUM_INTRAOP_THREADS', 'TF_NUM_INTEROP_THREADS', 'TF_CPP_MIN_LOG_LEVEL']) delete env[name];
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    env,
  });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, '');
  return JSON.parse(stdout);
}

/** What tfjs-node does, as far as the probe looks: it multiplies [2, 3] by [5, 7]. */
const FAKE = (product: number) => `
  module.exports = {
    getBackend: () => 'tensorflow', enableProdMode() {}, tensor2d: (values) => values,
    matMul: () => ({ dataSync: () => [${product}] }), backend: () => ({ binding: { TF_Version: '9.9.9' } }),
  };`;

describe('tfjs backend', { concurrency: 2 }, () => {
  const broken: [what: string, tfjsNode: string, reason: string][] = [
    [
      'that cannot find its library',
      "throw new Error('libtensorflow.so.2: cannot open shared object file\\nRequire stack: x');",
      'libtensorflow.so.2: cannot open shared object file',
    ],
    [
      'that kills the process that loads it',
      "process.kill(process.pid, 'SIGILL');",
      'a process that tried to load it was ended by SIGILL',
    ],
    ['that ends the process', 'process.exit(5);', 'a process that tried to load it ended with code 5'],
    ['that computes nonsense', FAKE(30), '2 * 5 + 3 * 7 gave 30'],
    [
      'that starts another backend',
      "module.exports = { getBackend: () => 'cpu' };",
      'it started the backend cpu instead',
    ],
  ];
  for (const [what, tfjsNode, reason] of broken) {
    test(`tfjs backend: a tfjs-node ${what} is reported, and auto goes on to wasm`, () => {
      const options = { tfjsNode };
      const [found, chosen] = evaluate(
        options,
        "[backend.examineBackend('tensorflow'), backend.chooseBackend('auto')]",
      ) as [{ isThere: boolean; reason: string }, string];
      assert.equal(found.isThere, false);
      assert.equal(found.reason, reason);
      assert.equal(chosen, 'wasm');
    });
  }

  test('tfjs backend: a tfjs-node that computes is taken first, with its versions', () => {
    const value = evaluate(
      { tfjsNode: FAKE(31) },
      "[backend.examineBackend('tensorflow'), backend.chooseBackend('auto')]",
    );
    const detail = '@tensorflow/tfjs-node 4.22.0 with TensorFlow 9.9.9';
    assert.deepEqual(value, [{ isThere: true, detail }, 'tensorflow']);
  });

  test('tfjs backend: when tfjs-node is loaded, the threads are set already and Node’s removed function is there', () => {
    const tfjsNode = `${FAKE(31)}
      const { TF_NUM_INTRAOP_THREADS, TF_NUM_INTEROP_THREADS, TF_CPP_MIN_LOG_LEVEL } = process.env;
      const { isNullOrUndefined } = require('util');
      module.exports.seen = [TF_NUM_INTRAOP_THREADS, TF_NUM_INTEROP_THREADS, TF_CPP_MIN_LOG_LEVEL,
        isNullOrUndefined(null), isNullOrUndefined(undefined), isNullOrUndefined(0)];`;
    const seen = evaluate({ tfjsNode }, "(await backend.loadTfjs('tensorflow')).seen");
    assert.deepEqual(seen, ['1', '1', '2', true, true, false]);
  });

  test('tfjs backend: without its package wasm is refused by name, and auto takes cpu', () => {
    const value = evaluate(
      { without: ['tfjs-backend-wasm'] },
      "[await attempt(() => backend.chooseBackend('wasm')), backend.chooseBackend('auto')]",
    );
    assert.deepEqual(value, [
      "EngineError: the tfjs backend wasm can't be used: @tensorflow/tfjs-backend-wasm is not installed.\n" +
        '  Install the packages: npm run setup.\n' +
        '  Or use another: tfjs.backend: auto, tensorflow or cpu in config.yaml.',
      'cpu',
    ]);
  });

  test('tfjs backend: without any package every reason is given', () => {
    const value = evaluate({ without: ['tfjs-backend-wasm', 'tfjs'] }, "backend.chooseBackend('auto')");
    assert.equal(
      value,
      'EngineError: none of the TensorFlow.js backends can be used.\n' +
        '  tensorflow: @tensorflow/tfjs-node is not installed.\n' +
        '  wasm: @tensorflow/tfjs-backend-wasm is not installed.\n' +
        '  cpu: @tensorflow/tfjs is not installed.\n' +
        '  Install the packages: npm run setup.',
    );
  });

  test('tfjs backend: wasm leaves no listeners for uncaught errors behind, and a thread keeps its backend', () => {
    const value = evaluate(
      {},
      `[
        (await backend.loadTfjs('wasm')).getBackend(),
        process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection'),
        await attempt(async () => (await backend.loadTfjs('cpu')).getBackend()),
      ]`,
    );
    assert.deepEqual(value, [
      'wasm',
      0,
      "EngineError: the tfjs backend cpu can't be used here: this thread uses wasm.\n" +
        '  A process uses one backend from start to end. Set tfjs.backend in config.yaml to one of them, and start again.',
    ]);
  });
});
