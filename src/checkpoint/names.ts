// The files of a checkpoint folder, relative to it.

import { join } from 'node:path';

export const MODEL_FILE = 'model.safetensors';
export const CONFIG_FILE = 'config.json';
export const TOKENIZER_FILE = 'tokenizer.json';
export const TRAINING_FOLDER = 'training';
export const MOMENTS_FILE = join(TRAINING_FOLDER, 'state.safetensors');
export const STATE_FILE = join(TRAINING_FOLDER, 'state.json');

/** What the trainer keeps in its save directory. */
export const CHECKPOINT_KINDS = ['last', 'best', 'quantized'] as const;
export type CheckpointKind = (typeof CHECKPOINT_KINDS)[number];
