// A checkpoint folder -> engine and tokenizer, ready to answer.

import { join } from 'node:path';
import { loadCheckpoint } from '../../checkpoint/load.js';
import { CHECKPOINT_KINDS, TOKENIZER_FILE } from '../../checkpoint/names.js';
import type { Config } from '../../config/config.js';
import type { InferenceEngine } from '../../engine/engine.js';
import { createInferenceEngine, selectEngine } from '../../engine/select.js';
import { CheckpointError } from '../../errors.js';
import { parseTokenizer, type Tokenizer } from '../../tokenizer/tokenizer.js';
import { configFromOptions } from '../options.js';
import type { InferFlags } from './flags.js';

export interface AnsweringModel {
  /** The checkpoint's folder. */
  readonly path: string;
  /** Whoever loaded the model closes it. */
  readonly engine: InferenceEngine;
  /** One line: why this isn't the fastest engine. None when it is, or was asked for. */
  readonly engineNotice?: string;
  readonly tokenizer: Tokenizer;
}

type ModelFlags = Pick<InferFlags, 'ckpt' | 'config' | 'set' | 'saveDir' | 'engine' | 'threads'>;

/** Throws ConfigError, CheckpointError, DataError (tokenizer), EngineError or FileError. */
export async function loadModel({ ckpt, ...flags }: ModelFlags): Promise<AnsweringModel> {
  const config = await configFromOptions(flags);
  return openModel(checkpointPath(ckpt, config.training.saveDir), config);
}

/** The model in a checkpoint's folder, on the engine that the configuration asks for. Throws as loadModel does. */
export async function openModel(folder: string, config: Config): Promise<AnsweringModel> {
  const { path, shape, tensors, tokenizerJson } = await loadCheckpoint(folder);
  const tokenizer = parseTokenizer(tokenizerJson, join(path, TOKENIZER_FILE));
  throwIfForeign(path, tokenizer.vocabSize, shape.vocabSize);
  const selection = selectEngine(config.engine, 'fp32', config.tfjs.backend);
  const engine = await createInferenceEngine(selection, shape, tensors);
  return { path, engine, engineNotice: selection.notice ?? undefined, tokenizer };
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
