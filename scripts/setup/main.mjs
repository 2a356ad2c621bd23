// The steps of the set-up and their order. What needs nothing from each other runs at the same time.

import { buildNative, compilerAdvice, hasHeadersBesideNode } from '../build-native.mjs';
import { compile } from './compile.mjs';
import { SetupError } from './error.mjs';
import { linkCommand } from './link.mjs';
import { takeLock } from './lock.mjs';
import { installPackages } from './packages.mjs';
import { buildTokenizer } from './tokenizer.mjs';

/** Sets process.exitCode and prints; never throws what the user can mend. */
export async function setUp() {
  const started = performance.now();
  let stepsDone = 0;
  /** Steps call this when they really start: nothing is printed for one that has nothing to do. */
  const onStart = (what) => {
    stepsDone++;
    print(`${what} ...`);
  };
  const release = await takeLock(() => print('waiting for another set-up of this folder to end ...'));
  // The addon needs no package where node brings its own headers: the compiler works while npm does.
  let native = hasHeadersBesideNode() ? nativeStep(onStart) : null;
  try {
    await installPackages(onStart);
    native ??= nativeStep(onStart);
    await compile(onStart);
    linkCommand();
    await buildTokenizer(onStart, print);
    await native;
    if (stepsDone > 0) print(`done in ${((performance.now() - started) / 1000).toFixed(1)} s.`);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  } finally {
    await native;
    release();
  }
}

/** Doing without the addon is possible, so this never fails: it says what is lost. */
async function nativeStep(onStart) {
  const { problem } = await buildNative({ onStart: () => onStart('compiling the native kernels') });
  if (problem) print(`the native kernels could not be built.\n${indent(`${problem}\n${compilerAdvice()}`)}`);
}

function indent(text) {
  return text.replace(/^/gm, '  ');
}

/** On stderr: stdout belongs to the program that follows. */
function print(text) {
  process.stderr.write(`set-up: ${text}\n`);
}
