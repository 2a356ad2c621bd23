// A checkpoint folder -> engine and tokenizer, ready to answer.

import { join } from 'node:path';
import { loadCheckpoint } from '../../checkpoint/load.js';
import { CHECKPOINT_KINDS, TOKENIZER_FILE } from '../../checkpoint/names.js';
import type { InferenceEngine } from '../../engine/engine.js';
import { createInferenceEngine } from '../../engine/select.js';
import { CheckpointError } from '../../errors.js';
import { parseTokenizer, type Tokenizer } from '../../tokenizer/tokenizer.js';
import { configFromOptions } from '../options.js';
import type { InferFlags } from './flags.js';

export interface AnsweringModel {
  /** The checkpoint's folder. */
  readonly path: string;
  /** Whoever loaded the model closes it. */
  readonly engine: InferenceEngine;
  readonly tokenizer: Tokenizer;
}

type ModelFlags = Pick<InferFlags, 'ckpt' | 'config' | 'set' | 'saveDir' | 'engine' | 'threads'>;

/** Throws ConfigError, CheckpointError, DataError (tokenizer), EngineError or FileError. */
export async function loadModel({ ckpt, ...flags }: ModelFlags): Promise<AnsweringModel> {
  const config = await configFromOptions(flags);
  const { path, shape, tensors, tokenizerJson } = await loadCheckpoint(checkpointPath(ckpt, config.training.saveDir));
  const tokenizer = parseTokenizer(tokenizerJson, join(path, TOKENIZER_FILE));
  throwIfForeign(path, tokenizer.vocabSize, shape.vocabSize);
  return { path, engine: createInferenceEngine(config.engine, shape, tensors), tokenizer };
}

/** A bare last, best or quantized means the one in the save directory; anything else is a path. */
export function checkpointPath(ckpt: string | undefined, saveDir: string): string {
  const name = ckpt ?? 'last';
  return (CHECKPOINT_KINDS as readonly string[]).includes(name) ? join(saveDir, name) : name;
}

function throwIfForeign(path: string, tokenizerSize: number, modelSize: number): void {
  if (tokenizerSize === modelSize) return;
  throw new CheckpointError(
    `${join(path, TOKENIZER_FILE)} has ${tokenizerSize} tokens, but the model beside it was trained with ${modelSize}.\n` +
      '  Each token of the tokenizer needs its own row in the model, so both must come from the same run.\n' +
      '  Put the tokenizer of that run there, or use another checkpoint.',
  );
}
