// A checkpoint small enough to be saved a thousand times in a test, recognisable by its step.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { collectWeights } from '../../../src/checkpoint/fit.js';
import type { CheckpointContent } from '../../../src/checkpoint/save.js';
import { createParameterTable } from '../../../src/model/parameters.js';

export const SHAPE = { nLayer: 1, nHead: 1, nEmbd: 4, vocabSize: 5, seqLen: 8 };
export const TABLE = createParameterTable(SHAPE);
export const CONFIG = {
  model: { n_layer: 1, n_head: 1, n_embd: 4, seq_len: 8, dropout: 0 },
  training: { lr: 0.001, save_dir: 'checkpoints' },
};

/** Every number of it depends on the step, so a mixture of two saves can't go unnoticed. */
export function contentOf(step: number): CheckpointContent {
  const filled = (scale: number) =>
    Float32Array.from({ length: TABLE.flatLength }, (_, i) => scale * (step + i / 1024));
  return {
    info: { step, trainLoss: step / 3, evalLoss: null, vocabSize: 5, config: CONFIG },
    tensors: collectWeights(filled(1), TABLE),
    tokenizerJson: `{"step": ${step}}`,
    training: {
      state: {
        step,
        position: 16 * step,
        seed: -7,
        bestEvalLoss: step / 7,
        bestStep: step,
        evaluationsWithoutImprovement: 2,
        nonFiniteSteps: 1,
        dataFingerprint: 'data',
        tokenizerFingerprint: 'tokenizer',
      },
      m: collectWeights(filled(-0.1), TABLE),
      v: collectWeights(filled(0.01), TABLE),
    },
  };
}

/** An empty folder that goes when the test ends. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gpt-loom-checkpoint-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
