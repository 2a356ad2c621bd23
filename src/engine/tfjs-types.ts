// Names for TensorFlow.js's types. Types alone: the library is loaded where it is needed, in tfjs-backend.ts.

import type * as tensorflow from '@tensorflow/tfjs';

/** The library with one backend chosen, whichever package brought it. */
export type Tf = typeof tensorflow;
export type Tensor = tensorflow.Tensor;

export const TFJS_BACKENDS = ['tensorflow', 'wasm', 'cpu'] as const;
/** tensorflow: tfjs-node with TensorFlow's own library; wasm: WebAssembly; cpu: plain JavaScript. Fastest first. */
export type TfjsBackend = (typeof TFJS_BACKENDS)[number];
